"""A MariaDB of its own for each run, with its default durability, in a directory on the disk that is measured."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql

PATIENCE_SECONDS = 60


def mariadb_program() -> Path:
    """The server on PATH, or where Debian's package puts it."""
    found = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    if found is None:
        raise FileNotFoundError("expected mariadbd on PATH or in /usr/sbin: install mariadb-server")
    return Path(found)


def mariadb_version() -> str:
    """As the program says it."""
    said = subprocess.run([mariadb_program(), "--version"], capture_output=True, check=True, text=True).stdout
    return said.split("Ver ")[-1].split(" ")[0]


@contextmanager
def serving_mariadb(directory: Path) -> Iterator[str]:
    """The URL of a server with its files in the directory."""
    account, data = _account(), directory / "data"
    directory.chmod(0o755)
    data.mkdir(mode=0o700)
    if account:
        shutil.chown(data, account["user"], account["group"])
    install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
    subprocess.run([*install, "--skip-test-db"], cwd="/", check=True, stdout=subprocess.DEVNULL, **account)
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    settings = {
        "datadir": data, "port": port, "bind-address": "127.0.0.1", "socket": data / "socket", "pid-file": data / "pid",
        "character-set-server": "utf8mb4",
    }  # fmt: skip
    words = [f"--{name}={value}" for name, value in settings.items()]
    command = [mariadb_program(), "--no-defaults", "--skip-name-resolve", *words]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, cwd="/", stderr=log, **account) as process:
        try:
            _await_greeting(port)
            yield f"mariadb://root@127.0.0.1:{port}/longshore"
        finally:
            process.kill()
            process.wait(PATIENCE_SECONDS)


def _account() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")  # It refuses to run as root.
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _await_greeting(port: int) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with pymysql.connect(host="127.0.0.1", port=port, user="root", connect_timeout=2) as connection:
                connection.query("CREATE DATABASE longshore")
        except pymysql.OperationalError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)
        else:
            return
