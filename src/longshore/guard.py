"""One wrapper around any driver: checks, chunks and repeats, so that no driver does.

Repeating is safe because every call of the contract answers what happened; only `claim` and `exchange` are not repeated
here: their caller must look what it holds first.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache, partial
from typing import Any, TypeVar

from longshore.contract import (
    EVERY,
    Answer,
    By,
    Change,
    Claim,
    Claimed,
    Driver,
    Features,
    Inserted,
    Instant,
    Listener,
    NewJob,
    Order,
    Page,
    Record,
    StoredJob,
    Where,
    Write,
)
from longshore.errors import InvalidValue, PartialInsert, StoreError, TooLarge, Unavailable
from longshore.motion import SealWatch
from longshore.transactions import check_synchronous

T = TypeVar("T")
E = TypeVar("E")
MAX_TEXT_BYTES = 200
DEFAULT_MAX_PAYLOAD = 1024 * 1024


class Guard:
    """A driver, guarded.

    Args:
        driver: what does the work.
        patience: seconds for which a call is repeated while the store is away; 0: not at all.
        max_payload: bytes of the largest payload or result.
        sleep: waits so many seconds; replaced in tests.
        whole: the store that it is a part of.
    """

    def __init__(
        self,
        driver: Driver,
        *,
        patience: float = 10.0,
        max_payload: int = DEFAULT_MAX_PAYLOAD,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        whole: Guard | None = None,
    ) -> None:
        self.driver = driver
        self.features: Features = driver.features if whole is None else driver.features & whole.features
        self.max_payload = min(max_payload, driver.limits.payload)
        self._limits = driver.limits
        self._patience = patience
        self._sleep = sleep
        self._monotonic = monotonic
        self._whole = whole
        self._seal: SealWatch | None = None

    @property
    def parts(self) -> Sequence[Guard]:
        """The stores that it is made of, whose calls are not repeated; itself where it is one."""
        found = self.driver.parts
        return [Guard(part, patience=0.0, whole=self) for part in found] if len(found) > 1 else (self,)

    @property
    def whole(self) -> Guard:
        """The store that it is a part of, where everything is that has a name; itself where it is none."""
        return self._whole or self

    def heed_seal(self) -> None:
        """Has `insert` refuse from now on where the jobs of the store have moved."""
        self._seal = SealWatch(monotonic=self._monotonic)

    def close(self) -> None:
        """Closes the driver."""
        self.driver.close()

    def migrate(self) -> None:
        """Creates the schema or brings it up to date."""
        self._repeat(self.driver.migrate)

    def clear(self) -> None:
        """Removes every job and record of the namespace."""
        self._repeat(self.driver.clear)

    def now(self) -> Instant:
        """The store's clock."""
        return self._repeat(self.driver.now)

    def check(self, jobs: Sequence[NewJob]) -> None:
        """Refuses jobs that `insert` would refuse.

        Raises:
            InvalidValue, TooLarge: a job is not of the form that is needed.
        """
        for job in jobs:
            self._check_job(job)

    def name(self, identity: str, *, beside: Sequence[str] = ()) -> str:
        """The id under which a new job, or a group, can be stored; see `Driver.name`."""
        return self.driver.name(identity, beside=beside)

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None, may_move: bool = False) -> list[Inserted]:
        """Inserts any number of jobs.

        Args:
            may_move: whether new jobs whose store does not answer may be named anew, and so be stored elsewhere: then
                the error that says which (`Unavailable.elsewhere`) is raised at once.

        Raises:
            InvalidValue, TooLarge: a job is not of the form that is needed; none was stored.
            PartialInsert: the store failed after some of them were stored (never within ``tx``).
            StoreMoved: the jobs of this store have moved; none was stored.
        """
        for job in jobs:
            self._check_job(job)
        if self._seal is not None:
            self._seal.check(self)
        answers: list[Inserted] = []
        for chunk in self._chunks(jobs, _job_bytes):
            try:
                answers += self._insert(chunk, tx, may_move)
            except StoreError as error:
                if not answers or tx is not None:
                    raise
                raise PartialInsert(answers, jobs[len(answers) :]) from error
        return answers

    def _insert(self, jobs: Sequence[NewJob | StoredJob], tx: Any, may_move: bool) -> list[Inserted]:
        # Of a job that one call did not name there, nobody knows whether it is stored; the next call knows no better.
        elsewhere = None if may_move else frozenset[str]()

        def call() -> list[Inserted]:
            nonlocal elsewhere
            try:
                return self.driver.insert(jobs, tx=tx)
            except Unavailable as error:
                error.elsewhere = elsewhere = error.elsewhere if elsewhere is None else elsewhere & error.elsewhere
                raise

        return self._repeat(call, within=tx)

    def claim(self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None = None) -> Claimed:
        """Takes due jobs; not repeated."""
        return self.driver.claim(claims, holder=holder, limit=min(limit, self._limits.batch), max_bytes=max_bytes)

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        """Applies any number of changes."""
        answers: list[Answer] = []
        for chunk in self._chunks(changes, _change_bytes):
            answers += self._repeat(partial(self.driver.update, chunk, tx=tx), within=tx)
        return answers

    def exchange(
        self,
        changes: Sequence[Change],
        claims: Sequence[Claim],
        *,
        holder: str,
        limit: int,
        max_bytes: int | None = None,
    ) -> tuple[list[Answer], Claimed]:
        """Settles and claims in one round trip where all fits into one; not repeated."""
        *before, last = self._chunks(changes, _change_bytes) if changes else [[]]
        answers = [answer for chunk in before for answer in self.driver.update(chunk)]
        settled, claimed = self.driver.exchange(
            last, claims, holder=holder, limit=min(limit, self._limits.batch), max_bytes=max_bytes
        )
        return answers + settled, claimed

    def select(
        self,
        where: Where = EVERY,
        *,
        order: Order = Order.NEWEST,
        limit: int = 100,
        after: str | None = None,
        each: int | None = None,
        body: bool = True,
    ) -> Page:
        """One page of jobs."""
        return self._repeat(
            lambda: self.driver.select(where, order=order, limit=limit, after=after, each=each, body=body)
        )

    def each(self, where: Where = EVERY, *, order: Order = Order.NEWEST, body: bool = True) -> Iterator[StoredJob]:
        """All jobs that ``where`` asks for, page by page."""
        after: str | None = None
        while True:
            page = self.select(where, order=order, limit=500, after=after, body=body)
            yield from page.jobs
            after = page.after
            if after is None:
                return

    def count(self, by: By, where: Where = EVERY) -> dict[tuple[Any, ...], int]:
        """How many jobs there are of each combination."""
        return self._repeat(lambda: self.driver.count(by, where))

    def delete(self, where: Where, *, limit: int = 1_000) -> list[str]:
        """Removes at most ``limit`` jobs, oldest first."""
        return self._repeat(lambda: self.driver.delete(where, limit=limit))

    def read(
        self,
        kind: str,
        keys: Sequence[str] | None = None,
        *,
        prefix: str = "",
        limit: int = 1_000,
        after: str | None = None,
    ) -> list[Record]:
        """The live records asked for."""
        return self._repeat(lambda: self.driver.read(kind, keys, prefix=prefix, limit=limit, after=after))

    def write(self, writes: Sequence[Write], *, tx: Any = None) -> list[int | None]:
        """Writes records. A compare-and-set that was repeated and finds its own value there has won the first time."""
        for write in writes:
            check_text(write.kind, "a record's kind")
            check_text(write.key, "a record's key")
            if write.value is not None and len(write.value) > self._limits.payload:
                raise TooLarge(
                    f"a record of {len(write.value):,} bytes is larger than the store's {self._limits.payload:,}"
                )
        versions: list[int | None] = []
        for chunk in self._chunks(writes, _write_bytes):
            versions += self._write(chunk, tx)
        return versions

    def _write(self, writes: Sequence[Write], tx: Any) -> list[int | None]:
        attempts = 0

        def call() -> list[int | None]:
            nonlocal attempts
            attempts += 1
            return self.driver.write(writes, tx=tx)

        versions = self._repeat(call, within=tx)
        if attempts == 1 or None not in versions:
            return versions
        return [
            version if version is not None else self._version_if_ours(write)
            for version, write in zip(versions, writes, strict=True)
        ]

    def _version_if_ours(self, write: Write) -> int | None:
        stored = self.read(write.kind, [write.key])
        if write.value is None:
            return None if stored else 0
        return stored[0].version if stored and stored[0].value == write.value else None

    def wake(self, topics: Sequence[str]) -> None:
        """Wakes who listens; a hint, so nothing is repeated."""
        self.driver.wake(topics)

    def listen(self, topics: Sequence[str]) -> Listener:
        """Listens to ``topics`` from now on."""
        return self.driver.listen(topics)

    def transaction(self) -> AbstractContextManager[Any]:
        """A transaction to give as ``tx``."""
        return self.driver.transaction()

    def _repeat(self, call: Callable[[], T], *, within: Any = None) -> T:
        if within is not None:
            check_synchronous(within)
        if within is not None or not self._patience:
            return call()
        ends = self._monotonic() + self._patience
        pause = 0.05
        while True:
            try:
                return call()
            except Unavailable as error:
                wait = pause * random.uniform(0.5, 1.5)
                if error.elsewhere or self._monotonic() + wait > ends:
                    raise
            self._sleep(wait)
            pause = min(pause * 2, 2.0)

    def _chunks(self, elements: Sequence[E], size: Callable[[E], int]) -> list[Sequence[E]]:
        if len(elements) == 1:
            return [elements]
        most, most_bytes = self._limits.batch, self._limits.batch_bytes
        sizes = [size(element) for element in elements]
        if len(elements) <= most and sum(sizes) <= most_bytes:
            return [elements]
        chunks: list[Sequence[E]] = []
        start = filled = 0
        for position, weight in enumerate(sizes):
            if position > start and (position - start >= most or filled + weight > most_bytes):
                chunks.append(elements[start:position])
                start, filled = position, 0
            filled += weight
        return [*chunks, elements[start:]]

    def _check_job(self, job: NewJob | StoredJob) -> None:
        if len(job.payload) > self.max_payload:
            raise TooLarge(
                f"the arguments of {job.task} take {len(job.payload):,} bytes, more than the {self.max_payload:,} "
                "allowed: store them elsewhere and pass a reference, or raise max_payload"
            )
        check_priority(job.priority)
        check_max_attempts(job.max_attempts)
        check_text(job.id, "a job's id")
        _check_name(job.queue, "a queue's name")
        _check_name(job.task, "a task's name")
        if job.key is not None:
            check_text(job.key, "a key")
        if job.unique_key is not None:
            check_text(job.unique_key, "a unique key")
        if job.group is not None:
            check_text(job.group, "a group's name")


def check_text(text: str, name: str) -> None:
    """Refuses what a store could not keep and order by its bytes.

    Raises:
        InvalidValue: it is no text, empty, longer than 200 bytes of UTF-8, or holds a NUL or a lone surrogate.
    """
    if not isinstance(text, str):
        raise InvalidValue(f"{name} must be a text; it is {text!r}")
    if 0 < len(text) <= MAX_TEXT_BYTES and text.isascii() and "\0" not in text:
        return
    try:
        fits = 0 < len(text.encode()) <= MAX_TEXT_BYTES and "\0" not in text
    except UnicodeEncodeError:
        fits = False
    if not fits:
        shown = text if len(text) <= 60 else text[:60] + "…"
        raise InvalidValue(f"{name} must be 1 to {MAX_TEXT_BYTES} bytes of UTF-8 without NUL; it is {shown!r}")


def check_priority(priority: object) -> None:
    """Refuses what is no 16-bit integer.

    Raises:
        InvalidValue: it is not.
    """
    if not isinstance(priority, int) or not -32_768 <= priority <= 32_767:
        raise InvalidValue(f"priority must be a whole number between -32768 and 32767; it is {priority!r}")


def check_max_attempts(most: object) -> None:
    """Refuses what is no number of attempts.

    Raises:
        InvalidValue: it is less than 1, or no whole number.
    """
    if most is not None and (not isinstance(most, int) or most < 1):
        raise InvalidValue(f"max_attempts must be a whole number, at least 1, or None for no limit; it is {most!r}")


# The names of queues and tasks are few, and come with every job.
_check_name = lru_cache(maxsize=1_024)(check_text)


def _job_bytes(job: NewJob | StoredJob) -> int:
    if isinstance(job, NewJob):
        return len(job.payload)
    return len(job.payload) + len(job.result or b"") + len(job.cursor or b"") + sum(map(len, job.attempts))


def _change_bytes(change: Change) -> int:
    fields = change.fields
    settling = len(fields.get("result") or b"") + len(fields.get("attempt_record") or b"")
    return settling + len(fields.get("payload") or b"") + len(fields.get("cursor") or b"")


def _write_bytes(write: Write) -> int:
    return len(write.value or b"")
