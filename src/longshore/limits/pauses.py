"""Queues that are paused: nothing of theirs begins until they are resumed (docs/design/limits.md)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from longshore.contract import Instant, Write
from longshore.durations import moment
from longshore.guard import Guard, check_text

KIND: Final = "paused queue"
RULES_TOPIC: Final = "limits"
"""Woken when a limit or a pause has changed."""
_PAGE: Final = 1_000


class PausedQueue(Struct, frozen=True, kw_only=True):
    """A queue of which nothing begins."""

    queue: str
    since: datetime


class _Pause(Struct, frozen=True):
    since: Instant


def pause(store: Guard, queues: Sequence[str]) -> list[bool]:
    """Pauses queues; tells of each whether it was not paused before."""
    for queue in queues:
        check_text(queue, "a queue's name")
    value = msgspec.json.encode(_Pause(store.now()))
    versions = store.write([Write(KIND, queue, value, 0) for queue in queues])
    store.wake([RULES_TOPIC])
    return [version is not None for version in versions]


def resume(store: Guard, queues: Sequence[str]) -> list[bool]:
    """Resumes queues; tells of each whether it was paused."""
    versions = {record.key: record.version for record in store.read(KIND, list(queues))}
    paused = [queue for queue in queues if queue in versions]
    erased = dict(zip(paused, store.write([Write(KIND, queue, None) for queue in paused]), strict=True))
    store.wake([RULES_TOPIC])
    return [erased.get(queue) is not None for queue in queues]


def paused(store: Guard) -> list[PausedQueue]:
    """The queues that are paused, by name."""
    found: list[PausedQueue] = []
    after: str | None = None
    while page := store.read(KIND, limit=_PAGE, after=after):
        for record in page:
            since = moment(msgspec.json.decode(record.value, type=_Pause).since)
            found.append(PausedQueue(queue=record.key, since=since))
        after = page[-1].key
    return found
