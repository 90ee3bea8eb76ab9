"""Core statements, compiled once to a database's own text and the order of its parameters.

SQLAlchemy builds and compiles; the statements then run on the database's own cursor, because executing a compiled
statement through an engine costs more than all the rest of a job's life in the store.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import BindParameter, bindparam
from sqlalchemy.types import TypeEngine

from longshore.contract import Instant

Row = tuple[Any, ...]
_GIVEN: Final = "given_"


class Asked(NamedTuple):
    """A statement with its values, to be run later."""

    text: str
    values: Row


class Cursor(Protocol):
    """What is used of a database's cursor."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, text: str, values: Sequence[Any] = ..., /) -> Any: ...

    def executemany(self, text: str, values: Any, /) -> Any: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Posting(ABC):
    """A cursor that can send a statement together with the next one."""

    @abstractmethod
    def post(self, text: str, values: Sequence[Any] = ..., /) -> None:
        """Runs a statement by the time that the next one is run."""


def post(cursor: Cursor, text: str, values: Sequence[Any] = ()) -> None:
    """Runs a statement whose answer nobody looks at: by the time that the next one was run."""
    if isinstance(cursor, Posting):
        cursor.post(text, values)
    else:
        cursor.execute(text, values)


class Step(NamedTuple):
    """One step on the store: a cursor inside a transaction, and the time of the call."""

    cursor: Cursor
    now: Instant
    may_lag: bool = False
    """Whether it sees an older state than what is committed: then what must be known is read as `Dialect.current`."""


def given(name: str, kind: TypeEngine[Any] | None = None) -> BindParameter[Any]:
    """A parameter that is given at execution; SQLAlchemy keeps the bare names of columns for itself.

    Its type is told where it cannot be seen from what stands beside it."""
    return bindparam(parameter(name), type_=kind)


def parameter(name: str) -> str:
    """The name that a given value has in a statement."""
    return _GIVEN + name


class Statement:
    """A statement's text, and how its values are put in the order of its parameters."""

    __slots__ = ("_constants", "_pick", "names", "text")

    def __init__(self, text: str, parameters: Sequence[str], values: Mapping[str, Any]) -> None:
        self.text = text
        own = {name: f"={name}" for name in parameters if not name.startswith(_GIVEN)}
        self.names = tuple(own.get(name) or name.removeprefix(_GIVEN) for name in parameters)
        self._constants = {own[name]: values[name] for name in own}
        self._pick = _picker(self.names)

    def values(self, named: Mapping[str, Any]) -> Row:
        """The values in order."""
        return self._pick({**self._constants, **named} if self._constants else named)

    def arranged(self, names: Sequence[str]) -> Callable[[Sequence[Any]], Row]:
        """A function that puts values, standing as ``names`` do, in order."""
        return _picker([list(names).index(name) for name in self.names])

    def asked(self, **named: Any) -> Asked:
        """The statement with its values."""
        return Asked(self.text, self.values(named))

    def run(self, cursor: Cursor, /, **named: Any) -> Cursor:
        """Executes it."""
        cursor.execute(self.text, self.values(named))
        return cursor

    def post(self, cursor: Cursor, /, **named: Any) -> None:
        """Executes it, by the time that the next one is; nobody looks at its answer."""
        post(cursor, self.text, self.values(named))


def _picker(keys: Sequence[Any]) -> Callable[[Any], Row]:
    if not keys:
        return lambda source: ()
    if len(keys) == 1:
        return lambda source: (source[keys[0]],)
    return itemgetter(*keys)
