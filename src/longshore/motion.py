"""What a store knows of being moved: that its jobs have gone elsewhere, or that some are still to come.

See docs/design/moving.md. Records of kind ``moving`` say so: ``away`` at a source, the seal; ``here:<move>`` at a
destination. While there is one, a job that is not here may be in another store.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from longshore.contract import Instant, Record, Write
from longshore.errors import StoreMoved

KIND: Final = "moving"
NAME_KIND: Final = "store"
AWAY: Final = "away"
HERE: Final = "here:"
SEEN_SECONDS: Final = 1.0
"""After so long everybody who inserts has looked at the seal."""
_NAME: Final = "name"
_COPY: Final = b"copy"


class Records(Protocol):
    """What reads and writes records: a driver, or the guard around one."""

    def now(self) -> Instant: ...

    def read(
        self,
        kind: str,
        keys: Sequence[str] | None = None,
        *,
        prefix: str = "",
        limit: int = 1_000,
        after: str | None = None,
    ) -> list[Record]: ...

    def write(self, writes: Sequence[Write]) -> list[int | None]: ...


class Away(Struct, frozen=True):
    """The seal of a store whose jobs go elsewhere.

    Attributes:
        to: the destination, as it may be shown.
        destination: the name of the destination, whatever its URL.
        since: when it was sealed, by its own clock.
        has_rules: whether schedules, pauses and limits have arrived.
        done: whether everything has.
        is_open: whether jobs may be enqueued here all the same: a move has gone away, to be gone on with later.
    """

    to: str
    destination: str
    since: Instant
    has_rules: bool = False
    done: bool = False
    is_open: bool = False


class SealWatch:
    """Looks at a store's seal, once a second at most.

    Args:
        monotonic: the process's own clock, in seconds.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._looked = float("-inf")

    def check(self, store: Records) -> None:
        """Refuses to go on where the jobs have moved.

        Raises:
            StoreMoved: they have.
        """
        asked = self._monotonic()
        if asked - self._looked < SEEN_SECONDS:
            return
        seal = away_of(store)
        if seal is not None and not seal.is_open:
            raise moved_to(seal.to)
        self._looked = asked


def moved_to(place: str) -> StoreMoved:
    """What late producers are told."""
    return StoreMoved(f"the jobs of this store have moved to {place}: point the application there; nothing was stored")


def away_of(store: Records) -> Away | None:
    """The seal of a store, None if it has none."""
    found = store.read(KIND, [AWAY])
    return msgspec.json.decode(found[0].value, type=Away) if found else None


def seal(store: Records, away: Away) -> None:
    """Seals a store, or notes how far its move has come."""
    store.write([Write(KIND, AWAY, msgspec.json.encode(away))])


def unseal(store: Records) -> None:
    """Opens it again."""
    store.write([Write(KIND, AWAY, None)])


def expect(store: Records, source: str, *, is_copy: bool = False) -> None:
    """Jobs are to come here from the store of this name."""
    store.write([Write(KIND, HERE + source, _COPY if is_copy else b"move")])


def expect_no_more(store: Records, source: str) -> None:
    """All have come."""
    store.write([Write(KIND, HERE + source, None)])


def expected_from(store: Records) -> list[str]:
    """The names of the stores from which jobs are still to come."""
    return [record.key.removeprefix(HERE) for record in store.read(KIND, prefix=HERE)]


def expected_copies(store: Records) -> list[str]:
    """The same, those alone that are copied."""
    return [record.key.removeprefix(HERE) for record in store.read(KIND, prefix=HERE) if record.value == _COPY]


def in_motion(store: Records) -> bool:
    """Whether a job that is not here may be in another store."""
    return bool(store.read(KIND, limit=1))


def name_of(store: Records) -> str:
    """The name by which a store is known, whatever its URL; given now if it has none."""
    for _ in range(2):
        found = store.read(NAME_KIND, [_NAME])
        if found:
            return found[0].value.decode()
        store.write([Write(NAME_KIND, _NAME, secrets.token_hex(16).encode(), 0)])
    return store.read(NAME_KIND, [_NAME])[0].value.decode()
