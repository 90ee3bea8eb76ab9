"""Longshore on MongoDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self

from pymongo.client_session import ClientSession

from longshore.contract import (
    EVERY,
    SECOND,
    Answer,
    By,
    Change,
    Claim,
    Claimed,
    Clock,
    Driver,
    Features,
    Inserted,
    Instant,
    Limits,
    Listener,
    NewJob,
    Order,
    Page,
    Record,
    StoredJob,
    Where,
    Write,
)
from longshore.errors import InvalidValue, Unsupported
from longshore_mongo import schema
from longshore_mongo.asking import Asking
from longshore_mongo.beside import Beside
from longshore_mongo.changing import Changing
from longshore_mongo.claiming import Claiming
from longshore_mongo.documents import Known
from longshore_mongo.inserting import Inserting
from longshore_mongo.options import Options
from longshore_mongo.records import Records
from longshore_mongo.rounds import Rounds
from longshore_mongo.servers import Server
from longshore_mongo.wakes import Ears

_PAYLOAD: Final = 5 * 1024 * 1024
"""A document has at most 16 MiB: there is room for a payload, a result, and the attempts."""

_APART: Final = 100
"""So many changes are written beside the claims of their exchange; fewer are cheaper in one command with them."""

_KNOWN: Final = 5_000
"""So many claimed jobs are remembered, at most those of one more call."""


class MongoDriver(Driver):
    """A connection to MongoDB, 6.0 or newer: a replica set, a sharded cluster, or a server that stands alone.

    Takes ``mongodb://user:password@host1,host2/database?replicaSet=name`` or ``mongodb+srv://…`` with pymongo's own
    options in its query, or a live ``MongoClient``, which is never closed. Options, in the URL's query or by name:
    ``namespace``; ``database``, instead of the URL's; ``timeout``, the seconds that a call may take.
    """

    handles = ("pymongo.synchronous.mongo_client.MongoClient",)
    features = Features.DURABLE | Features.SHARED | Features.TRANSACTIONS | Features.WAKEUPS | Features.ONE_PLACE
    limits = Limits(payload=_PAYLOAD, resolution=SECOND // 1_000)

    def __init__(self, target: Any, options: Options, clock: Clock | None) -> None:
        self._server = Server(target, options)
        self.target = target if options.url is None else options.target()
        self._rounds = Rounds(self._server, clock)
        self._clock = clock
        try:
            self.features = self._server.promised()
        except BaseException:
            self._server.close()
            raise
        self._known: dict[str, Known] = {}  # What was claimed here, as it is stored: most of it ends here.
        self._asking = Asking(self._rounds)
        self._records = Records(self._rounds)
        self._ears = self._new_ears()
        self._beside = Beside("longshore-mongo-changes")

    @classmethod
    def connect(cls, target: Any, *, clock: Clock | None = None, **options: Any) -> Self:
        return cls(target, Options.of(target, options), clock)

    def close(self) -> None:
        self._ears.close()
        self._beside.close()
        self._server.close()

    def migrate(self) -> None:
        with self._rounds.errors():
            self._server.judge()
            schema.migrate(self._rounds.collections)

    def clear(self) -> None:
        self._rounds.look({})
        with self._rounds.errors():
            self._rounds.collections.jobs.delete_many({})
            self._rounds.collections.records.delete_many({})

    def now(self) -> Instant:
        if self._clock is not None:
            return self._clock()
        with self._rounds.errors():
            return self._server.now()

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None) -> list[Inserted]:
        inserting = Inserting(self._rounds, jobs, self._joined(tx), heralds=Features.WAKEUPS in self.features)
        answers = inserting.insert() if jobs else []
        if untold := inserting.untold:
            self._hint([f"queue:{queue}" for queue in sorted(untold)], self._joined(tx))
        return answers

    def claim(self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None = None) -> Claimed:
        return self.exchange([], claims, holder=holder, limit=limit, max_bytes=max_bytes)[1]

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        session = self._joined(tx)
        changing = Changing(self._rounds, changes, self._known, session)
        self._carry_out(changing, session)
        return [changing.answers[change.id] for change in changes]

    def exchange(
        self,
        changes: Sequence[Change],
        claims: Sequence[Claim],
        *,
        holder: str,
        limit: int,
        max_bytes: int | None = None,
    ) -> tuple[list[Answer], Claimed]:
        changing = Changing(self._rounds, changes, self._known)
        claiming = Claiming(self._rounds, claims, holder=holder, limit=limit, max_bytes=max_bytes)
        if claims and len(changes) >= _APART:
            self._beside.both(lambda: self._carry_out(changing), lambda: self._rounds.carry_out(claiming))
        else:
            self._rounds.carry_out(changing, claiming)
            changing.finish()
        if changing.filed:  # Then what was looked at does not tell when the next job is due.
            claiming.begin_again()
            self._rounds.carry_out(claiming)
        claiming.finish()
        if len(self._known) > _KNOWN:
            self._known.clear()
        self._known.update(claiming.known)
        return [changing.answers[change.id] for change in changes], claiming.claimed

    def select(
        self,
        where: Where,
        *,
        order: Order = Order.NEWEST,
        limit: int = 100,
        after: str | None = None,
        each: int | None = None,
        body: bool = True,
    ) -> Page:
        return self._asking.page(where, order, limit, after, each, body=body)

    def count(self, by: By, where: Where = EVERY) -> dict[tuple[Any, ...], int]:
        return self._asking.count(by, where)

    def delete(self, where: Where, *, limit: int = 1_000) -> list[str]:
        return self._asking.delete(where, limit)

    def read(
        self,
        kind: str,
        keys: Sequence[str] | None = None,
        *,
        prefix: str = "",
        limit: int = 1_000,
        after: str | None = None,
    ) -> list[Record]:
        return self._records.read(kind, keys, prefix, limit, after)

    def write(self, writes: Sequence[Write], *, tx: Any = None) -> list[int | None]:
        session = self._joined(tx)
        return self._records.write(writes, session) if writes else []

    def wake(self, topics: Sequence[str]) -> None:
        if topics:
            self._hint(topics, None)

    def listen(self, topics: Sequence[str]) -> Listener:
        if not self._ears.is_of_this_process():
            self._ears = self._new_ears()
        return self._ears.listen(topics)

    @contextmanager
    def transaction(self) -> Iterator[ClientSession]:
        if Features.TRANSACTIONS not in self.features:
            raise Unsupported(self._no_transactions())
        with self._server.client().start_session() as session:
            session.start_transaction(write_concern=self._server.write_concern)
            yield session
            with self._rounds.errors():
                session.commit_transaction()

    def examined(self) -> int | None:
        """What the whole server examined: keys and documents."""
        return self._server.examined()

    def _carry_out(self, changing: Changing, session: ClientSession | None = None) -> None:
        self._rounds.carry_out(changing, session=session)
        changing.finish()

    def _joined(self, tx: Any) -> ClientSession | None:
        if tx is None:
            return None
        if Features.TRANSACTIONS not in self.features:
            raise Unsupported(self._no_transactions())
        if not isinstance(tx, ClientSession):
            raise InvalidValue(f"expected tx to be a ClientSession of pymongo, got a {type(tx).__qualname__}")
        if not tx.in_transaction:
            raise InvalidValue("expected tx to be in a transaction: call its start_transaction() first")
        return tx

    def _no_transactions(self) -> str:
        return (
            f"{self._server.place} stands alone, so it has no transactions; leave out tx, or run it as a replica set "
            "(one member is enough)"
        )

    def _hint(self, topics: Sequence[str], session: ClientSession | None) -> None:
        with self._rounds.errors(session):
            self._server.hint(topics, session)

    def _new_ears(self) -> Ears:
        return Ears(self._server.collections, polls=Features.WAKEUPS not in self.features)
