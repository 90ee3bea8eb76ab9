"""A driver and the memory driver side by side: each call is made on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from msgspec.structs import replace

from longshore.contract import (
    Change,
    Claim,
    Claimed,
    Driver,
    Duration,
    NewJob,
    Record,
    State,
    StoredJob,
    Where,
    Write,
)
from longshore.memory import MemoryDriver
from longshore.testing.clock import ManualClock
from longshore.testing.model.drafts import KINDS, ChangeDraft, WriteDraft
from longshore.testing.model.resolve import Run, may_say_either, meant, placed, resolved
from longshore.testing.model.story import Search, shown
from longshore.testing.model.versions import Versions
from longshore.testing.samples import walk

T = TypeVar("T")


class Pair:
    """Both drivers, empty at first, and the story of what was called."""

    def __init__(self, store: Driver, clock: ManualClock, search: Search) -> None:
        self._store = store
        self._memory = MemoryDriver.connect("memory://", clock=clock)
        self._clock = clock
        self._search = search
        self._runs: dict[str, list[Run]] = {}
        self._versions = Versions()
        self._story: list[str] = []
        with self._told("clear"):
            store.clear()

    @contextmanager
    def _told(self, call: str, *arguments: Any, **named: Any) -> Iterator[None]:
        """A step of the story, which ends where something is raised; after it, both hold the same."""
        words = [shown(value) for value in arguments]
        words += [f"{name}={shown(value)}" for name, value in named.items() if value is not None]
        self._story.append(f"{call}({', '.join(words)})")
        try:
            yield
            self._hold_the_same()
        except Exception as error:
            self._search.failed([*self._story, f"{type(error).__name__}: {error}"])
            raise

    def _agree(self, act: Callable[[Driver], T], seen: Callable[[T], Any] = lambda answer: answer) -> tuple[T, T]:
        """Acts on both, and compares what is seen."""
        wanted = act(self._memory)
        found = act(self._store)
        if seen(found) != seen(wanted):
            both = f"{shown(seen(found))}\nnot, as the memory driver,\n  {shown(seen(wanted))}"
            raise AssertionError(f"answered\n  {both}")
        return found, wanted

    def _hold_the_same(self) -> None:
        """Every job and every record is the same, and the records have the versions that were answered last."""
        wanted, found = walk(self._memory), walk(self._store)
        if found != wanted:
            raise AssertionError(difference(found, wanted))
        for kind in KINDS:
            records = self._read(kind)
            versions = {record.key: record.version for record in records}
            assert versions == {key: self._versions.last(kind, key) for key in versions}

    def _read(self, kind: str, keys: Sequence[str] | None = None, **named: Any) -> list[Record]:
        def without_versions(records: list[Record]) -> list[Record]:
            return [replace(record, version=0) for record in records]

        found, _ = self._agree(lambda driver: driver.read(kind, keys, **named), without_versions)
        return found

    def insert(self, jobs: Sequence[NewJob | StoredJob]) -> None:
        """New and restored jobs."""
        given = [placed(job, self._clock()) for job in jobs]
        with self._told("insert", given):
            self._agree(lambda driver: driver.insert(given))

    def claim(self, claims: Sequence[Claim], holder: str, limit: int, max_bytes: int | None = None) -> None:
        """Claims."""
        with self._told("claim", claims, holder=holder, limit=limit, max_bytes=max_bytes):
            found, wanted = self._agree(
                lambda driver: driver.claim(claims, holder=holder, limit=limit, max_bytes=max_bytes),
                lambda claimed: claimed.jobs,
            )
            self._claimed(claims, found, wanted)

    def _claimed(self, claims: Sequence[Claim], found: Claimed, wanted: Claimed) -> None:
        for job in wanted.jobs:
            self._runs.setdefault(job.id, []).append((job.generation, job.holder or ""))
        more = set(found.expired) - set(wanted.expired)
        past = self._memory.select(Where(ids=sorted(more), states=[State.PENDING], expired=0)).jobs
        queues = {queue for claim in claims for queue in claim.queues}
        allowed = {job.id for job in past if job.queue in queues}
        assert set(wanted.expired) <= set(found.expired) <= set(wanted.expired) | allowed, (
            f"expired {found.expired}, not, as the memory driver, {wanted.expired}"
        )
        assert len(found.expired) == len(set(found.expired)), "an expired job was answered twice"
        # A driver may meet more of them than stand before what it takes.
        self._memory.update([Change(identity, State.EXPIRED) for identity in more])
        assert is_bound(found.next_due, wanted.next_due), (
            f"said that a job is due in {found.next_due}, not, as the memory driver, in {wanted.next_due}"
        )

    def update(self, drafts: Sequence[ChangeDraft]) -> None:
        """Changes."""
        given = self._resolved(drafts)
        if not given:
            return
        with self._told("update", given):
            self._agree(lambda driver: driver.update(given))

    def _resolved(self, drafts: Sequence[ChangeDraft]) -> list[Change]:
        jobs = {job.id: job for job in self._memory.select(Where()).jobs}
        now = self._clock()
        named = {meant(draft, jobs): draft for draft in drafts}
        given = [
            resolved(replace(draft, id=identity), jobs.get(identity), self._runs.get(identity, []), now)
            for identity, draft in named.items()
        ]
        return [change for change in given if not may_say_either(change, jobs)]

    def exchange(self, drafts: Sequence[ChangeDraft], claims: Sequence[Claim], holder: str, limit: int) -> None:
        """Changes that release nothing that a claim could take, and claims."""
        given = self._resolved(drafts)
        with self._told("exchange", given, claims, holder=holder, limit=limit):
            found, wanted = self._agree(
                lambda driver: driver.exchange(given, claims, holder=holder, limit=limit),
                lambda answer: (answer[0], answer[1].jobs),
            )
            self._claimed(claims, found[1], wanted[1])

    def ask(self, method: str, **arguments: Any) -> None:
        """Questions."""
        with self._told(method, **arguments):
            if method == "read":
                self._read(**arguments)
            elif method == "count":
                self._agree(lambda driver: driver.count(**arguments))
            elif "each" in arguments:
                self._agree(lambda driver: driver.select(**arguments).jobs)
            else:
                self._agree(lambda driver: walk(driver, **arguments))

    def delete(self, where: Where, limit: int) -> None:
        """Removals."""
        with self._told("delete", where, limit=limit):
            self._agree(lambda driver: driver.delete(where, limit=limit), sorted)

    def write(self, drafts: Sequence[WriteDraft]) -> None:
        """Writes of records, to each driver with its own versions."""
        given: dict[Driver, list[Write]] = {
            self._memory: [self._versions.resolved(draft, "memory") for draft in drafts],
            self._store: [self._versions.resolved(draft, "store") for draft in drafts],
        }
        with self._told("write", given[self._store]):
            found, wanted = self._agree(
                lambda driver: driver.write(given[driver]),
                lambda versions: [version is not None for version in versions],
            )
            self._versions.remember(given[self._store], found, wanted)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self._clock.advance(seconds)
        with self._told("wait", seconds):
            pass


def is_bound(found: Duration | None, wanted: Duration | None) -> bool:
    """Whether the time until the next due job is what the memory driver says, or sooner, but not at once."""
    if found is None or wanted is None:
        return wanted is None
    return found <= wanted and (found > 0 or wanted == 0)


def difference(found: list[StoredJob], wanted: list[StoredJob]) -> str:
    """Which jobs differ, and how they stand."""
    only_found = [shown(job) for job in found if job not in wanted]
    only_wanted = [shown(job) for job in wanted if job not in found]
    lines = ["stored", *only_found, "not, as the memory driver,", *only_wanted]
    return "\n  ".join(lines if only_found or only_wanted else ["the same jobs come in another order"])
