"""A cursor that asks the server for nothing but what is needed, on a connection of our own.

psycopg's cursor looks at each value and each statement anew, and waits in steps; for a statement of a few microseconds
that is most of what it costs. This one prepares each text once, gives each value by its exact type, and sends in one
round trip what nobody waits for together with what comes next. What may follow a statement by itself goes right behind
it, and what the server says to that is read when the connection is used next. Rows are read by psycopg.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from types import NoneType
from typing import Any, Final, NoReturn

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import DiagnosticField, ExecStatus, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from longshore_sql.statements import Asked, Posting, Row

_MOST_PREPARED: Final = 300
_BINARY: Final = 1
_FAILED: Final = {ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE}

_BYTES: Final = frozenset({bytes, bytearray, memoryview})
_WAYS: Final[dict[type, Callable[[Any], bytes | None]]] = {
    str: str.encode,
    int: b"%d".__mod__,
    NoneType: lambda value: None,
    **dict.fromkeys(_BYTES, bytes),
}

Sent = tuple[bytes, list[bytes | None], list[int] | None]


class PreparedCursor(Posting):
    """The one cursor of a connection. It takes texts, whole numbers, bytes and None."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self._server = connection.pgconn
        self._names: dict[str, bytes] = {}
        self._number = 0
        self._posted: list[Sent] = []
        self._behind: Sent | None = None
        self._is_owed = False
        self._ready = select.poll()
        self._ready.register(connection.fileno(), select.POLLIN)
        self._rows = Transformer(connection)
        self._result: PGresult | None = None
        self._next = 0
        self._counted = -1

    @property
    def rowcount(self) -> int:
        """How many rows the last statement changed or found."""
        if self._result is None:
            return self._counted
        return self._result.command_tuples or 0

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is left to be sent or answered; else, as after an interrupt, the connection is given up."""
        server = self._server
        is_waiting = server.transaction_status == TransactionStatus.ACTIVE
        is_sent = not (self._posted or self._behind)
        return is_sent and not is_waiting and server.pipeline_status == PipelineStatus.OFF

    def settle(self) -> None:
        """Reads what the server still says to what followed, so that others can use the connection."""
        if self._is_owed:
            self._is_owed = False
            self._results_of(1)
            self._server.exit_pipeline_mode()

    def follow(self, text: str, values: Sequence[Any] = (), /) -> None:
        """Sends a statement right behind the next that is executed, in a transaction of its own. Nobody waits for it,
        and nobody learns whether it failed."""
        self.settle()
        self._behind = (self._prepared(text), *_given(values))

    def post(self, text: str, values: Sequence[Any] = (), /) -> None:
        """Sends a statement together with the next that is executed; its answer is not kept."""
        self.settle()
        self._posted.append((self._prepared(text), *_given(values)))

    def execute(self, text: str, values: Sequence[Any] = (), /) -> PreparedCursor:
        """Runs a statement, after those that were posted."""
        self.settle()
        sent = (self._prepared(text), *_given(values))
        self._result, self._next = None, 0
        if self._posted or self._behind:
            posted, self._posted = self._posted, []
            self._result = self._sent_together([*posted, sent])
        else:
            name, given, formats = sent
            self._server.send_query_prepared(name, given, formats, _BINARY)
            self._result = self._answered()
        return self

    def together(self, groups: Sequence[Sequence[Asked]], /) -> list[list[Row]]:
        """The rows of statements that go in one round trip. Each group is a transaction of its own."""
        self.settle()
        sent = [[(self._prepared(text), *_given(values)) for text, values in group] for group in groups]
        self._result, self._next = None, 0
        return [self._read(result) for result in self._exchanged(sent)]

    def executemany(self, text: str, values: Any, /) -> None:
        """Runs a statement for each row of values, all in few round trips."""
        self.settle()
        cursor = self.connection.cursor()
        posted, self._posted = self._posted, []
        if posted:
            self._sent_together(posted)
        cursor.executemany(text, values)
        self._result, self._counted = None, cursor.rowcount

    def copy(self, text: str, /) -> AbstractContextManager[psycopg.Copy]:
        """Runs a COPY, into which is written meanwhile."""
        self.settle()
        return self.connection.cursor().copy(text.encode())

    def fetchall(self) -> list[Row]:
        """The rows that were not fetched yet."""
        result, first = self._result, self._next
        if result is None:
            return []
        self._next = result.ntuples
        return self._read(result, first)

    def fetchone(self) -> Row | None:
        """The next row, None if there is none."""
        result = self._result
        if result is None or self._next >= result.ntuples:
            return None
        self._rows.set_pgresult(result)
        self._next += 1
        return self._rows.load_row(self._next - 1, tuple)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.fetchall())

    def _read(self, result: PGresult, first: int = 0) -> list[Row]:
        self._rows.set_pgresult(result)
        return self._rows.load_rows(first, result.ntuples, tuple)

    def _prepared(self, text: str) -> bytes:
        name = self._names.pop(text, None)
        if name is None:
            if len(self._names) >= _MOST_PREPARED:
                self._forget(next(iter(self._names)))
            self._number += 1
            name = b"longshore_%d" % self._number
            self._server.send_prepare(name, _numbered(text).encode())
            self._answered()
        self._names[text] = name  # The last that was used: the first goes when there are too many.
        return name

    def _forget(self, text: str) -> None:
        self._server.send_query(b"DEALLOCATE " + self._names.pop(text))
        self._answered()

    def _answered(self) -> PGresult:
        """The answer to what was sent alone."""
        server, found = self._server, None
        self._flush()
        self._await()
        while (result := server.get_result()) is not None:
            found = result
            self._await()
        if found is None or found.status in _FAILED:
            self._fail(found)
        return found

    def _sent_together(self, sent: Sequence[Sent]) -> PGresult:
        """The answer to the last; the first that fails is raised, and those after it were not run."""
        return self._exchanged([sent])[-1]

    def _exchanged(self, groups: Sequence[Sequence[Sent]]) -> list[PGresult]:
        """The answers to all; of a group of which one fails nothing is done but what was committed in between."""
        server = self._server
        behind, self._behind = self._behind, None
        server.enter_pipeline_mode()
        for group in groups if behind is None else [*groups, [behind]]:
            for name, given, formats in group:
                server.send_query_prepared(name, given, formats, _BINARY)
            server.pipeline_sync()
        self._flush()
        found = self._results_of(len(groups))
        self._is_owed = behind is not None
        failed = next((result for result in found if result.status in _FAILED), None)
        if not self._is_owed:
            server.exit_pipeline_mode()
        if failed is not None:
            self.settle()
            self._fail(failed)
        return found

    def _results_of(self, groups: int) -> list[PGresult]:
        """What the server says to the next groups of those that were sent."""
        server, found = self._server, []
        while groups:
            self._await()
            result = server.get_result()
            if result is None:
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                groups -= 1
            else:
                found.append(result)
        return found

    def _await(self) -> None:
        """Waits until the next answer is here whole; in Python, so that a signal's handler runs meanwhile."""
        server = self._server
        while server.is_busy():
            self._ready.poll()
            server.consume_input()

    def _flush(self) -> None:
        """Sends what did not fit into the system's buffers; the server may have to be listened to meanwhile."""
        server = self._server
        while server.flush():
            select.select([server.socket], [server.socket], [])
            server.consume_input()

    def _fail(self, result: PGresult | None) -> NoReturn:
        """Raises what the server said, or that it said nothing more."""
        state = result and result.error_field(DiagnosticField.SQLSTATE)
        said = (result.error_message if result else self._server.error_message).decode("utf-8", "replace").strip()
        if not state:
            raise psycopg.OperationalError(said)
        raise _kind(state.decode())(said)


def _kind(state: str) -> type[psycopg.Error]:
    try:
        return psycopg.errors.lookup(state)
    except KeyError:
        return psycopg.DatabaseError


def _numbered(text: str) -> str:
    """The text with the server's own signs for values."""
    first, *rest = text.split("%s")
    numbered = [f"${number}{part}" for number, part in enumerate(rest, 1)]
    return "".join([first, *numbered]).replace("%%", "%")


def _given(values: Sequence[Any]) -> tuple[list[bytes | None], list[int] | None]:
    """The values as they are sent, and which of them are bytes, if any."""
    ways, formats = _ways_of(tuple(map(type, values)))
    return [way(value) for way, value in zip(ways, values, strict=True)], formats


@lru_cache(maxsize=_MOST_PREPARED)
def _ways_of(kinds: tuple[type, ...]) -> tuple[list[Callable[[Any], bytes | None]], list[int] | None]:
    """How values of these types are written: few statements are run, so few rows of types come."""
    formats = None if _BYTES.isdisjoint(kinds) else [int(kind in _BYTES) for kind in kinds]
    return [_WAYS.get(kind, _other) for kind in kinds], formats


def _other(value: Any) -> bytes:
    """A number, or what is of a kind of its own, as an enumeration is."""
    return value.encode() if isinstance(value, str) else b"%d" % value
