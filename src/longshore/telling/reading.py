"""Where a reader of a job's replies stands, and what it has not yet handed out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

from msgspec import Struct

from longshore.codecs import TypedCodec
from longshore.contract import ENDED, Record, StoredJob
from longshore.errors import JobRemoved, LongshoreError
from longshore.guard import Guard
from longshore.telling.stored import KIND, number_of, reply_key, run_prefix, unpacked

T = TypeVar("T")
PAGE: Final = 500


class Reply(Struct, Generic[T], frozen=True):
    """Something that a task said while it ran: reply ``number`` of its run ``run``."""

    value: T
    number: int
    run: int


class Restarted(Struct, frozen=True):
    """The job has begun anew, as run ``run``: the replies before are void."""

    run: int


Message: TypeAlias = Reply[T] | Restarted
CodecOf: TypeAlias = Callable[[StoredJob], TypedCodec[Any]]


class Reading(Generic[T]):
    """A place in the replies of a job. `read_on` reads what follows it; any thread may take what was read.

    Args:
        identity: the job's id.
        codec_of: how replies of the job are read.
    """

    def __init__(self, identity: str, codec_of: CodecOf) -> None:
        self.identity = identity
        self.ready: deque[Message[T]] = deque()
        self.is_at_end = False
        self.has_more = False
        self._codec_of = codec_of
        self._lock = threading.Lock()
        self._run: int | None = None
        self._number = 0
        self._has_given = False

    def has_news(self) -> bool:
        """Whether there is something to take, or nothing will come any more."""
        return bool(self.ready) or self.is_at_end

    def look(self, store: Guard, job: StoredJob | None) -> None:
        """Reads the replies that follow, of a job that was read before: so if it had ended, all of them are there.

        Raises:
            JobRemoved: there is no such job.
            InvalidValue, UnknownCodec: the next reply cannot be read; the place is after it then.
        """
        if job is None:
            raise JobRemoved(f"there is no job {self.identity}: it was removed, or never stored")
        with self._lock:
            if self._run is None or job.generation > self._run:
                self._begin(job.generation)
            prefix = run_prefix(self.identity, self._run or 0)
            after = reply_key(prefix, self._number)
            records = store.read(KIND, prefix=prefix, limit=PAGE, after=after)
            is_all = self._add(records, self._codec_of(job))
            self.has_more = is_all and len(records) == PAGE
            self.is_at_end = is_all and not self.has_more and job.state in ENDED and job.generation == self._run

    def _begin(self, run: int) -> None:
        if self._has_given:
            self.ready.clear()
            self.ready.append(Restarted(run))
        self._run, self._number, self._has_given = run, 0, False

    def _add(self, records: Sequence[Record], codec: TypedCodec[Any]) -> bool:
        """Makes replies ready; whether all are. One that cannot be read waits until those before it are taken."""
        for record in records:
            number = number_of(record.key)
            try:
                value = unpacked(record.value, codec)
            except LongshoreError:
                if self.ready:
                    return False
                self._number = number
                raise
            self._number, self._has_given = number, True
            self.ready.append(Reply(value, number, self._run or 0))
        return True


def read_on(
    store: Guard, readings: Sequence[Reading[Any]], jobs: Sequence[StoredJob | None]
) -> dict[Reading[Any], LongshoreError | None]:
    """Looks for all at once; gives those that have news, each with what is wrong with it, if anything is."""
    found: dict[Reading[Any], LongshoreError | None] = {}
    for reading, job in zip(readings, jobs, strict=True):
        try:
            reading.look(store, job)
        except LongshoreError as error:
            found[reading] = error
        else:
            if reading.has_news():
                found[reading] = None
    return found
