"""Limits of queues and tasks, in all processes together: what is stored of them (docs/design/limits.md)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from longshore.contract import SECOND, Duration, Instant, Write
from longshore.durations import Seconds, microseconds
from longshore.errors import InvalidValue
from longshore.guard import Guard, check_text
from longshore.holders import KIND as HOLDER
from longshore.holders import mark_in
from longshore.limits.pauses import RULES_TOPIC

QUEUE_LIMIT: Final = "queue limit"
TASK_LIMIT: Final = "task limit"
KINDS: Final = (QUEUE_LIMIT, TASK_LIMIT)
TOKENS_TOPIC: Final = "tokens"
"""Woken when tokens have come free, or somebody asks for those that others do not use."""
_LONGEST_KEEP: Final = SECOND
_PAGE: Final = 1_000
_BATCH: Final = 500


class Limit(Struct, frozen=True, kw_only=True):
    """A limit of a queue or of a task, and how far it is used."""

    queue: str | None
    task: str | None
    running: int | None
    """So many may run at a time; None: any number."""
    rate: tuple[int, float] | None
    """So many may begin in so many seconds; None: any number."""
    burst: int | None
    """So many of these may begin at once."""
    taken: int
    """For how many runs workers have tokens: those that run, and a few ahead of them."""
    waiting: int
    """How many workers have a free slot and no token for it."""


class Subject(Struct, frozen=True):
    """What a limit is of: the kind of its record, and the name of the queue or task."""

    kind: str
    name: str


class Rule(Struct, frozen=True):
    """What an operator said. The bucket of a rate is one moment: that at which it was empty, if it only ever filled."""

    running: int | None = None
    count: int | None = None
    period: Duration = 0
    burst: int = 0

    @property
    def keep(self) -> Duration:
        """How long tokens of the rate may lie with a worker: so long that all together stay within the burst."""
        return 0 if not self.count else min(_LONGEST_KEEP, (self.burst - 1) * self.period // (2 * self.count))

    @property
    def size(self) -> int:
        """How many tokens the bucket holds: the burst, less what comes while others lie with workers."""
        return self.burst - _up(self.keep * (self.count or 0), self.period or 1)

    def level(self, empty: Instant, now: Instant) -> int:
        """How many tokens the bucket holds now."""
        assert self.count is not None
        return min(self.size, max(0, now - empty) * self.count // self.period)

    def taken(self, empty: Instant, now: Instant, tokens: int) -> Instant:
        """The bucket after so many were taken out of it, of those that are there."""
        # A clock that was set back would keep it empty for as long; a full one does not fill further.
        full = now - self.filling(self.size)
        return max(min(empty, now), full) + self.filling(tokens)

    def returned(self, empty: Instant, tokens: int) -> Instant:
        """The bucket after so many were given back."""
        return empty - tokens * self.period // (self.count or 1)

    def filling(self, tokens: int) -> Duration:
        """How long it takes until so many have come."""
        return _up(tokens * self.period, self.count or 1)


class StoredLimit(Struct, frozen=True, omit_defaults=True):
    """The record of a limit: its rule, and who has how many tokens."""

    rule: Rule
    shares: Mapping[str, int] = {}
    waiting: tuple[str, ...] = ()
    empty: Instant = 0
    declared: Rule | None = None
    """What the application's code said last: it is written again only when it says something else."""

    @property
    def parties(self) -> set[str]:
        """Who has tokens, or waits for some."""
        return {*self.shares, *self.waiting}

    def without(self, holders: Collection[str]) -> StoredLimit:
        """The same without these holders."""
        shares = {holder: share for holder, share in self.shares.items() if holder not in holders}
        return replace(self, shares=shares, waiting=tuple(each for each in self.waiting if each not in holders))


class ReadLimit(Struct, frozen=True):
    """A limit as it was read."""

    subject: Subject
    stored: StoredLimit
    version: int


def subject_of(queue: str | None, task: str | None) -> Subject:
    """What is meant by one of two names.

    Raises:
        InvalidValue: none or both are given, or it is no name.
    """
    if queue is not None and task is None:
        check_text(queue, "a queue's name")
        return Subject(QUEUE_LIMIT, queue)
    if task is not None and queue is None:
        check_text(task, "a task's name")
        return Subject(TASK_LIMIT, task)
    raise InvalidValue(f"a limit is of a queue or of a task: give one of both; given were {queue!r} and {task!r}")


def rule_of(running: int | None, rate: tuple[int, Seconds] | None, burst: int | None) -> Rule:
    """The rule that is meant.

    Raises:
        InvalidValue: a number is not of the form that is needed, or nothing is limited.
    """
    if running is None and rate is None:
        raise InvalidValue("a limit needs running=, how many run at a time, or rate=, how many begin in a period")
    if running is not None and running < 0:
        raise InvalidValue(f"running must be 0 or more; it is {running}")
    if rate is None:
        if burst is not None:
            raise InvalidValue("burst says how many of a rate may begin at once: give rate= with it")
        return Rule(running)
    count, period = rate[0], microseconds(rate[1], name="the period of a rate")
    if count < 1 or period < 1:
        raise InvalidValue(f"a rate is a number of jobs and a period, both more than nothing; it is {rate!r}")
    most = max(1, count // 10) if burst is None else burst
    if not 1 <= most <= count:
        raise InvalidValue(f"burst must be between 1 and the rate's {count}; it is {burst}")
    return Rule(running, count, period, most)


def read_limits(store: Guard) -> Iterator[ReadLimit]:
    """All limits, by kind and name."""
    for kind in KINDS:
        after: str | None = None
        while page := store.read(kind, limit=_PAGE, after=after):
            for record in page:
                yield ReadLimit(Subject(kind, record.key), decoded(record.value), record.version)
            after = page[-1].key


def decoded(value: bytes) -> StoredLimit:
    """What a record says."""
    return msgspec.json.decode(value, type=StoredLimit)


def write_of(limit: ReadLimit, stored: StoredLimit | None) -> Write:
    """The write that puts something else in the place of what was read, if that is still there."""
    value = None if stored is None else msgspec.json.encode(stored)
    return Write(limit.subject.kind, limit.subject.name, value, limit.version)


def set_limit(store: Guard, subject: Subject, rule: Rule) -> None:
    """Sets or changes a limit; tokens that workers have stay theirs."""
    _change(store, subject, lambda stored: replace(stored, rule=rule) if stored else StoredLimit(rule))


def remove_limit(store: Guard, subject: Subject) -> bool:
    """Removes a limit; tells whether there was one."""
    found = [limit for limit in _find(store, subject) if limit.stored.rule != Rule()]
    if found:
        # What code declared is remembered, else its next start would bring the limit back.
        _change(
            store,
            subject,
            lambda stored: StoredLimit(Rule(), declared=stored.declared) if stored and stored.declared else None,
        )
    return bool(found)


def declare_limit(store: Guard, subject: Subject, rule: Rule) -> None:
    """Sets a limit that code declares, unless it declared just that before: what an operator said since then stays."""
    found = next(_find(store, subject), None)
    if found is None or found.stored.declared != rule:
        _change(store, subject, lambda stored: replace(stored or StoredLimit(rule), rule=rule, declared=rule))


def lapsed_shares(store: Guard, homes: Iterable[Guard], mark: str) -> set[str]:
    """Who has tokens, or waits for some, without a lease.

    Args:
        store: that which the leases are in.
        homes: those which the limits are in.
        mark: of those who have their leases there.
    """
    parties = {holder for home in homes for limit in read_limits(home) for holder in limit.stored.parties}
    holders = sorted(holder for holder in parties if mark_in(holder) == mark)
    batches = [holders[start : start + _BATCH] for start in range(0, len(holders), _BATCH)]
    return set(holders) - {record.key for batch in batches for record in store.read(HOLDER, batch)}


def strike_shares(store: Guard, holders: Collection[str]) -> None:
    """Frees the tokens of holders that are dead for certain."""
    struck = [limit for limit in read_limits(store) if limit.stored.parties.intersection(holders)]
    for limit in struck:
        _change(store, limit.subject, lambda stored: stored.without(holders) if stored else None, topic=TOKENS_TOPIC)


def shown(limit: ReadLimit) -> Limit:
    """A limit as people see it."""
    rule, is_queue = limit.stored.rule, limit.subject.kind == QUEUE_LIMIT
    return Limit(
        queue=limit.subject.name if is_queue else None,
        task=None if is_queue else limit.subject.name,
        running=rule.running,
        rate=(rule.count, rule.period / SECOND) if rule.count is not None else None,
        burst=rule.burst if rule.count is not None else None,
        taken=sum(limit.stored.shares.values()),
        waiting=len(limit.stored.waiting),
    )


def _change(
    store: Guard,
    subject: Subject,
    change: Callable[[StoredLimit | None], StoredLimit | None],
    *,
    topic: str = RULES_TOPIC,
) -> None:
    """Changes a limit; who was overtaken looks again, and each time somebody has got on."""
    while True:
        found = next(_find(store, subject), None)
        stored = found.stored if found else None
        after = change(stored)
        if after == stored:
            return
        if store.write([write_of(found or ReadLimit(subject, StoredLimit(Rule()), 0), after)])[0] is not None:
            store.wake([topic])
            return


def _find(store: Guard, subject: Subject) -> Iterator[ReadLimit]:
    for record in store.read(subject.kind, [subject.name]):
        yield ReadLimit(subject, decoded(record.value), record.version)


def _up(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
