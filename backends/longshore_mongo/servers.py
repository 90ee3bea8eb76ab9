"""The servers behind a connection: how they are reached, and what they promise."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from bson import ObjectId
from pymongo import MongoClient, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.driver_info import DriverInfo
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from longshore.contract import Features, Instant
from longshore.errors import ConfigurationError
from longshore_mongo.documents import Document
from longshore_mongo.failures import translated
from longshore_mongo.options import Options
from longshore_mongo.schema import Collections

OLDEST: Final = 17
"""The wire version of MongoDB 6.0."""
_OPEN: Final = 5.0
"""Seconds for which a socket waits at least: a question that the server keeps open must be answered within."""


class Server:
    """A client of ours, made anew in a child of fork, or one that was handed in."""

    def __init__(self, target: Any, options: Options) -> None:
        self._options = options
        self.timeout = options.timeout
        self._handle: MongoClient[Any] | None = target if options.url is None else None
        self._own: MongoClient[Any] | None = None
        self._inherited: list[Any] = []
        self._process = os.getpid()
        self._collections: Collections | None = None
        self._sessions: list[ClientSession] = []
        client = self.client()
        self.write_concern = _write_concern(client)
        self.stands_alone = False
        self.place = f"MongoDB at {_address(options, client)}"

    def client(self) -> MongoClient[Any]:
        """The client of this process."""
        if self._process != os.getpid():
            self._inherited += [self._own, self._sessions]  # The parent's: not even their memory is given back here.
            self._own, self._collections, self._sessions, self._process = None, None, [], os.getpid()
        if self._handle is not None:
            return self._handle
        if self._own is None:
            self._own = self._opened()
        return self._own

    def _opened(self) -> MongoClient[Any]:
        try:
            parse_uri(str(self._options.url), warn=False)
            return MongoClient(
                self._options.url,
                retryWrites=False,
                retryReads=False,
                serverSelectionTimeoutMS=int(self._options.timeout * 1_000),
                socketTimeoutMS=int(max(self._options.timeout, _OPEN) * 1_000),
                tz_aware=False,
                driver=DriverInfo("longshore"),
            )
        except (PyMongoError, ValueError) as error:
            raise ConfigurationError(f"expected a URL that pymongo can read: {error}") from error

    def collections(self, session: ClientSession | None = None) -> Collections:
        """The collections of the namespace, as this process reaches them, or as the client of a session does."""
        if session is not None:
            return self._collections_of(session.client)
        client = self.client()
        if self._collections is None:
            self._collections = self._collections_of(client)
        return self._collections

    def _collections_of(self, client: MongoClient[Any]) -> Collections:
        name = self._options.database or self.client().get_default_database("longshore").name
        return Collections.of(client[name], self._options.namespace, self.write_concern)

    def ask(self, command: Document, session: ClientSession | None = None) -> Document:
        """Sends a command to the database of the namespace; answers what came."""
        database = self.collections(session).jobs.database
        if session is not None:
            return database.command(command, session=session)
        try:  # Outside a transaction one of ours, which is kept: pymongo would make one each time.
            own = self._sessions.pop()
        except IndexError:
            own = self.client().start_session(causal_consistency=False)
        try:
            answer: Document = database.command(command, session=own)
        except BaseException:
            own.end_session()
            raise
        self._sessions.append(own)
        return answer

    def close(self) -> None:
        """Closes what was opened here."""
        if self._process != os.getpid():
            return
        kept, self._sessions = self._sessions, []
        for session in kept:
            session.end_session()
        if self._own is not None:
            self._own.close()

    def errors(self, session: ClientSession | None = None, *, is_bound: bool = True) -> AbstractContextManager[None]:
        """Around whatever asks the server: translates its errors, and bounds its time where nothing else does."""
        is_bound = is_bound and (session is None or not session.in_transaction)
        return translated(self.place, self._options.timeout if is_bound else None)

    def promised(self) -> Features:
        """What this deployment can keep; nobody is asked if the URL names a replica set."""
        client = self.client()
        if client.options.replica_set_name is None:
            with self.errors():
                hello = client.admin.command("hello")
            self.stands_alone = "setName" not in hello and hello.get("msg") != "isdbgrid"
        promised = Features.SHARED | Features.ONE_PLACE
        if not self.stands_alone:
            promised |= Features.TRANSACTIONS | Features.WAKEUPS
        asked = self.write_concern.document
        if asked.get("w") == "majority" and asked.get("j", True):
            promised |= Features.DURABLE
        return promised

    def judge(self) -> None:
        """Refuses a server that is too old.

        Raises:
            ConfigurationError: it is.
        """
        version = self.client().admin.command("hello")["maxWireVersion"]
        if version < OLDEST:
            raise ConfigurationError(f"expected MongoDB 6.0 or newer, got one of wire version {version}")

    def now(self) -> Instant:
        """The server's clock."""
        (found,) = self.client().admin.aggregate([{"$documents": [{"now": {"$toLong": "$$NOW"}}]}])
        return int(found["now"]) * 1_000

    def examined(self) -> int | None:
        """How many keys and documents it has examined; None if the user may not know."""
        try:
            counted = self.client().admin.command("serverStatus")["metrics"]["queryExecutor"]
        except OperationFailure:
            return None
        return int(counted["scanned"]) + int(counted["scannedObjects"])

    def hint(self, topics: Sequence[str], session: ClientSession | None) -> None:
        """Leaves a hint for those who listen."""
        hint = {"$set": {"topics": list(topics)}, "$currentDate": {"at": True}}
        self.collections(session).wakes.update_one({"_id": ObjectId()}, hint, upsert=True, session=session)


def _write_concern(client: MongoClient[Any]) -> WriteConcern:
    """What the application asked for, else what survives the loss of any one server."""
    asked = client.write_concern
    return WriteConcern("majority", j=True) if asked.is_server_default else asked


def _address(options: Options, client: MongoClient[Any]) -> str:
    """Where it is, without a password."""
    if options.url is not None:
        return options.url.partition("://")[2].rpartition("@")[2].partition("/")[0]
    return ", ".join(f"{host}:{port}" for host, port in sorted(client.nodes))
