"""Where a job stands: kept with it, so that its next attempt goes on from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from longshore.codecs import TypedCodec
from longshore.contract import Fields
from longshore.errors import InvalidValue
from longshore.guard import Guard
from longshore.telling.stored import packed, unpacked
from longshore.telling.voice import Voice
from longshore.transactions import within

T = TypeVar("T")
D = TypeVar("D")


class Cursor:
    """Where a job stands; the next attempt goes on from it.

    It stays through retries, crashes, snoozes and hand-backs, and through a retry by a person; success removes it. Only
    the run that holds the job can move it: a later one is told by `longshore.errors.LeaseLost`.
    """

    def __init__(
        self, voice: Callable[[], Voice], codec_of: Callable[[Any], TypedCodec[Any]], store: Guard, stored: bytes | None
    ) -> None:
        self._voice = voice
        self._codec_of = codec_of
        self._anything = codec_of(Any)
        self._store = store
        self._now = stored
        self._is_marked = False
        self._is_in_transactions = False

    @overload
    def get(self) -> Any: ...
    @overload
    def get(self, kind: type[T]) -> T | None: ...
    @overload
    def get(self, kind: type[T], default: D) -> T | D: ...
    def get(self, kind: Any = Any, default: Any = None) -> Any:
        """What was set last, by this run or one before; ``default`` if nothing was.

        Args:
            kind: its type.
            default: what stands for nothing.

        Raises:
            InvalidValue: what is stored is not of this type.
        """
        return default if self._now is None else unpacked(self._now, self._codec_of(kind))

    def set(self, value: Any, *, tx: Any = None) -> None:
        """Moves the cursor; it is stored when this returns.

        Args:
            value: where the job stands.
            tx: the application's open connection or transaction: the cursor moves when that commits, and only then.

        Raises:
            InvalidValue, TooLarge: the value cannot be stored.
            LeaseLost: this run does not hold its job any more.
            Unsupported: ``tx`` is given, and the store has no transactions.
        """
        fields = self._fields(value)
        if tx is None:
            self._voice().save(fields).result()
        else:
            self._choose_transactions()
            self._voice().save_within(fields, self._store, tx)
        self._now = fields["cursor"]

    async def aset(self, value: Any, *, tx: Any = None) -> None:
        """Moves the cursor, on an event loop; see `set`. ``tx`` is an ``AsyncSession`` or ``AsyncConnection`` of
        SQLAlchemy's."""
        import asyncio

        if tx is not None:
            await within(tx, lambda own: self.set(value, tx=own))
            return
        fields = self._fields(value)
        await asyncio.wrap_future(self._voice().save(fields))
        self._now = fields["cursor"]

    def mark(self, value: Any) -> None:
        """Moves the cursor, and does not wait until it is stored: that is within about a second, or when the run ends.

        After a crash the next attempt does again what was done in that time.

        Raises:
            InvalidValue, TooLarge: the value cannot be stored.
        """
        fields = self._fields(value)
        if self._is_in_transactions:
            raise InvalidValue("a cursor set with tx= cannot be marked too: a mark might overtake a transaction")
        self._is_marked = True
        self._voice().keep(fields)
        self._now = fields["cursor"]

    def _choose_transactions(self) -> None:
        if self._is_marked:
            raise InvalidValue("a marked cursor cannot be set with tx= too: a mark might overtake a transaction")
        self._is_in_transactions = True

    def _fields(self, value: Any) -> Fields:
        return {"cursor": packed(value, self._anything, "the cursor", self._store.max_payload)}
