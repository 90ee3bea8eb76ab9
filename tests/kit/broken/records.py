"""What can be wrong with records, pages, wake-ups, and with what a driver says of itself."""

from __future__ import annotations

from contextlib import contextmanager

from msgspec.structs import replace

from longshore.contract import Features, Order, Page, Record
from longshore.memory import MemoryDriver
from longshore.memory_store import Ear


class RepeatsVersions(MemoryDriver):
    """Begins to count anew when a record was erased."""

    def _write(self, write, now):
        stored = self._room.records.get(write.kind, {}).get(write.key)
        version = super()._write(write, now)
        if version is None or write.value is None:
            return version
        version = stored.version + 1 if stored else 1
        record = self._room.records[write.kind][write.key]
        self._room.records[write.kind][write.key] = replace(record, version=version)
        return version


class IgnoresVersions(MemoryDriver):
    """Writes whatever is there."""

    def _write(self, write, now):
        return super()._write(replace(write, version=None), now)


class ReadsTheExpired(MemoryDriver):
    """A record is read though its lifetime is over."""

    def read(self, kind, keys=None, *, prefix="", limit=1_000, after=None):
        everything: dict[str, Record] = self._room.records.get(kind, {})
        wanted = [key for key in sorted(everything) if key.startswith(prefix) and (keys is None or key in keys)]
        return [everything[key] for key in wanted if key > (after or "")][:limit]


class PrefixesArePatterns(MemoryDriver):
    """A prefix with an underscore finds more than it should."""

    def read(self, kind, keys=None, *, prefix="", limit=1_000, after=None):
        if keys is not None or "_" not in prefix:
            return super().read(kind, keys, prefix=prefix, limit=limit, after=after)
        found = super().read(kind, prefix=prefix.partition("_")[0], limit=limit, after=after)
        return [record for record in found if len(record.key) >= len(prefix)]


class PagesRepeat(MemoryDriver):
    """The cursor of a page knows the time alone, and so repeats jobs of the same time."""

    def _found(self, where, order, after=None, each=None):
        found = super()._found(where, order, None, each)
        last = int(after.partition(":")[0]) if after else 0
        return [job for job in found if not after or (job.created >= last) is (order is Order.OLDEST)]


class PagesSkip(MemoryDriver):
    """The cursor of a page knows the time alone, and so skips jobs of the same time."""

    def _found(self, where, order, after=None, each=None):
        found = super()._found(where, order, after, each)
        return [job for job in found if not after or job.created != int(after.partition(":")[0])]


class RemovesTheNewest(MemoryDriver):
    """Removes the newest first."""

    def delete(self, where, *, limit=1_000):
        found = super()._found(where, Order.NEWEST)[:limit]
        return super().delete(replace(where, ids=[job.id for job in found]), limit=limit)


class ShowsBodies(MemoryDriver):
    """Answers payloads that nobody wanted."""

    def select(self, *arguments, body=True, **named) -> Page:
        return super().select(*arguments, **named)


class Forgetful(Ear):
    """Knows only of wake-ups that come while it waits."""

    def wait(self, timeout):
        self._is_rung = False
        return super().wait(timeout)


class LosesTheWake(MemoryDriver):
    """A wake-up between a claim and the wait is lost."""

    def listen(self, topics):
        ear = Forgetful(frozenset(topics))
        self._room.ears.add(ear)
        return ear


class WakesNobody(MemoryDriver):
    """An insert wakes nobody."""

    def wake(self, topics):
        return


class SwearsDurability(MemoryDriver):
    """Says that it keeps what it was given, and keeps it in memory."""

    features = Features.WAKEUPS | Features.ONE_PLACE | Features.DURABLE


class SwearsToBeShared(MemoryDriver):
    """Says that other processes see it, and lives in one."""

    features = Features.WAKEUPS | Features.ONE_PLACE | Features.SHARED


class SwearsTransactions(MemoryDriver):
    """Takes ``tx``, and does at once what it is told."""

    features = Features.WAKEUPS | Features.ONE_PLACE | Features.TRANSACTIONS

    @contextmanager
    def transaction(self):
        yield self

    def insert(self, jobs, *, tx=None):
        return super().insert(jobs)

    def update(self, changes, *, tx=None):
        return super().update(changes)

    def write(self, writes, *, tx=None):
        return super().write(writes)


class TakesAnyTransaction(MemoryDriver):
    """Promises no transactions, and takes ``tx`` all the same."""

    def insert(self, jobs, *, tx=None):
        return super().insert(jobs)


class SharesItsNamespaces(MemoryDriver):
    """Every namespace is the same."""

    @classmethod
    def connect(cls, target, *, clock=None, **options):
        options.pop("namespace", None)
        return super().connect(target, clock=clock, **options)


class TakesAnyOption(MemoryDriver):
    """Does not say that it does not know an option."""

    @classmethod
    def connect(cls, target, *, clock=None, **options):
        known = {name: value for name, value in options.items() if name == "namespace"}
        return super().connect(target, clock=clock, **known)
