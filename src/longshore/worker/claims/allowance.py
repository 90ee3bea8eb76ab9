"""What all limits and pauses together allow one worker, and the tokens that it takes before it claims."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec
from msgspec.structs import replace

from longshore.errors import StoreError
from longshore.guard import Guard
from longshore.holders import KIND as HOLDER
from longshore.holders import HolderRecord, Lease, mark_in
from longshore.limits.pauses import paused
from longshore.limits.stored import (
    KINDS,
    QUEUE_LIMIT,
    TASK_LIMIT,
    TOKENS_TOPIC,
    ReadLimit,
    Rule,
    StoredLimit,
    Subject,
    decoded,
    read_limits,
    write_of,
)
from longshore.worker.claims.allotment import Allotment
from longshore.worker.claims.order import UNLIMITED, Rooms
from longshore.worker.claims.rules import Page, RuleBook
from longshore.worker.claims.shares import Asking
from longshore.worker.runs import Run
from longshore.worker.settings import WorkerSettings

T = TypeVar("T")
_TRIES: Final = 4
"""How often a record that others changed meanwhile is looked at again before the next turn."""
_OVERTAKEN: Final = 0.02


class Allowance:
    """Used by the courier's thread alone, but for `rules_changed` and `tokens_freed`.

    Args:
        tasks: gives the names of the tasks that the worker takes jobs of.
        book: the rules of all its stores.
        monotonic: the process's own clock, in seconds.
    """

    def __init__(
        self,
        store: Guard,
        lease: Lease,
        settings: WorkerSettings,
        tasks: Callable[[], frozenset[str]],
        *,
        book: RuleBook | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.on_limited: Callable[[], None] = lambda: None
        """Called when there are limits: from now on it matters when tokens are freed. May be called more than once."""
        self._store = store
        self._lease = lease
        self._settings = settings
        self._tasks = tasks
        self._book = book or RuleBook()
        self._homes: dict[Subject, str] = {}
        self._monotonic = monotonic
        self._paused: frozenset[str] = frozenset()
        self._of_queues: dict[str, Allotment] = {}
        self._of_tasks: dict[str, Allotment] = {}
        self._is_told_of_rules = True
        self._is_told_of_tokens = False
        self._overtaken_until = float("-inf")

    # What other threads say.

    def rules_changed(self) -> None:
        """Look at the rules before anything more is claimed."""
        self._is_told_of_rules = True

    def tokens_freed(self) -> None:
        """Others gave tokens back, or ask for some."""
        self._is_told_of_tokens = True

    # What is allowed.

    @property
    def must_read_rules(self) -> bool:
        """Whether the rules may have changed."""
        return self._is_told_of_rules

    @property
    def is_limited(self) -> bool:
        """Whether a limit is known here."""
        return bool(self._of_queues or self._of_tasks)

    @property
    def is_exhausted(self) -> bool:
        """Whether there may be jobs that only a limit keeps from being claimed now, and not for good."""
        return any(each.is_short and each.rule.running != 0 for each in self._answering())

    def rooms(self) -> Rooms:
        """How many more jobs may be here."""
        if not (self._paused or self.is_limited):
            return UNLIMITED
        holder = self._lease.holder
        queues = {name: self._room(allotment, holder) for name, allotment in self._of_queues.items()}
        tasks = {name: self._room(allotment, holder) for name, allotment in self._of_tasks.items()}
        return Rooms(queues | dict.fromkeys(self._paused, 0), tasks)

    def begins(self, run: Run) -> None:
        """A job is here that was claimed."""
        if self.is_limited:
            for allotment in self._of(run):
                allotment.begins(run, self._monotonic())

    def ends(self, runs: Iterable[Run]) -> None:
        """Jobs are not here any more."""
        if self.is_limited:
            for run in runs:
                for allotment in self._of(run):
                    allotment.ends(run, self._monotonic())

    def answered(self, *, is_full: bool) -> None:
        """A claim was answered, and what it brought is here; it could have brought more unless it is full."""
        for allotment in self._all():
            allotment.was_offered(0 if is_full else allotment.room(self._lease.holder))

    # The rules.

    def read_rules(self) -> Callable[[Run], bool] | None:
        """Reads them; gives what tells the runs that must not begin before they are claimed anew; None: nothing is new.

        Raises:
            StoreError: the store did not answer.
        """
        store, mark = self._store, self._lease.mark
        self._is_told_of_rules = False  # Before they are read: who changes them meanwhile tells again.
        try:
            page = Page(store, list(read_limits(store)), frozenset(each.queue for each in paused(store)))
        except StoreError:
            self._is_told_of_rules = True
            raise
        self._book.write(mark, page, self._monotonic())
        found = self._book.limits()
        self._homes = {subject: home for subject, (home, _) in found.items()}
        limits, pauses = [limit for _, limit in found.values()], self._book.paused()
        before = self._known()
        queues = self._renewed(self._of_queues, limits, QUEUE_LIMIT, frozenset(self._settings.queues))
        tasks = self._renewed(self._of_tasks, limits, TASK_LIMIT, self._tasks())
        queues |= pauses - self._paused
        self._paused = pauses
        if self.is_limited:
            self.on_limited()
        if self._known() == before:
            return None
        return lambda run: run.job.queue in queues or run.job.task in tasks

    def count(self, runs: Iterable[Run]) -> None:
        """These are here, also if they began before a limit was known."""
        for run in runs:
            for allotment in self._of(run):
                allotment.counts(run)

    def _known(self) -> tuple[frozenset[str], dict[Subject, Rule]]:
        return self._paused, {each.limit.subject: each.rule for each in self._all()}

    def _renewed(
        self, allotments: dict[str, Allotment], limits: list[ReadLimit], kind: str, names: frozenset[str]
    ) -> set[str]:
        """Keeps the allotments that are still what they were; gives the names of those that are not."""
        now = self._monotonic()
        read = {each.subject.name: each for each in limits if each.subject.kind == kind and each.stored.rule != Rule()}
        for name in allotments.keys() - read.keys():
            del allotments[name]
        changed: set[str] = set()
        for name in read.keys() & names:
            known = allotments.get(name)
            if known is None or known.rule != read[name].stored.rule:
                allotments[name] = Allotment(read[name], now)
                changed.add(name)
            elif read[name].version >= known.limit.version or not read[name].version:
                known.was_read(read[name], now)
        return changed

    # The tokens.

    def ask_at(self) -> float:
        """When those that are missing are asked for again; infinity if none are."""
        if not self.is_limited:
            return float("inf")
        return max(self._overtaken_until, min((each.ask_at for each in self._answering()), default=float("inf")))

    def tidy_at(self) -> float:
        """When `step` is to be called though nothing is claimed; infinity without limits."""
        if not self.is_limited:
            return float("inf")
        holder = self._lease.holder
        ends = [each.tidy_at(holder) for each in self._answering()]
        soon = float("-inf") if self._is_told_of_tokens else min(ends, default=float("inf"))
        return max(self._overtaken_until, soon)

    def step(self, wanted: int, free: int, *, is_claiming: bool = True, is_ending: bool = False) -> None:
        """Takes the tokens for a claim of so many jobs, and gives back those that nobody uses here.

        Args:
            wanted, free: for so many jobs in all, and for so many of them there are free slots.

        Raises:
            StoreError: the store did not answer.
        """
        now = self._monotonic()
        if now < self._overtaken_until and not is_ending:
            return
        is_told, self._is_told_of_tokens = self._is_told_of_tokens, False
        asking = Asking(self._lease.holder, wanted, free, now, is_claiming=is_claiming, is_ending=is_ending)
        left = self._answering()
        self._look([each for each in left if each.must_look(asking, is_told=is_told)], asking)
        for _ in range(_TRIES):
            left = self._write([each for each in left if each.limit.version], asking)
            if not left:
                return
            self._look(left, asking)
        self._overtaken_until = now + _OVERTAKEN * random.uniform(0.5, 1.5)

    def end(self) -> None:
        """Gives back all tokens but those of runs that are still on.

        Raises:
            StoreError: the store did not answer; then they end with the lease.
        """
        if self.is_limited:
            self.step(0, 0, is_claiming=False, is_ending=True)

    def homes(self) -> list[Guard]:
        """The stores that limits are in, but for those that do not answer."""
        return self._book.answering(self._monotonic())

    def _all(self) -> list[Allotment]:
        return [*self._of_queues.values(), *self._of_tasks.values()]

    def _of(self, run: Run) -> list[Allotment]:
        both = (self._of_queues.get(run.job.queue), self._of_tasks.get(run.job.task))
        return [allotment for allotment in both if allotment is not None]

    def _room(self, allotment: Allotment, holder: str) -> int:
        """While the store of a limit is away, nothing more of what it limits begins."""
        return allotment.room(holder) if self._answers(allotment) else 0

    def _answering(self) -> list[Allotment]:
        return [allotment for allotment in self._all() if self._answers(allotment)]

    def _answers(self, allotment: Allotment) -> bool:
        home = self._home(allotment)
        return home == self._lease.mark or not self._book.is_silent(home, self._monotonic())

    def _home(self, allotment: Allotment) -> str:
        return self._homes.get(allotment.limit.subject, self._lease.mark)

    def _at_home(self, allotments: list[Allotment], ask: Callable[[Guard, list[Allotment]], T]) -> list[T]:
        """Asks each store for its own; one of other couriers' that does not answer is left alone for a while.

        Raises:
            StoreError: this one did not answer.
        """
        answers: list[T] = []
        for home in dict.fromkeys(map(self._home, allotments)):
            of_home = [each for each in allotments if self._home(each) == home]
            try:
                answers.append(ask(self._book.store(home) or self._store, of_home))
            except StoreError:
                if home == self._lease.mark:
                    raise
                self._book.was_silent(home, self._monotonic())
        return answers

    def _look(self, allotments: list[Allotment], asking: Asking) -> None:
        """Reads records anew; what is short looks whether others that have tokens are dead."""
        self._at_home(allotments, lambda store, of_home: self._read(store, of_home, asking))
        short = [each for each in allotments if asking.is_claiming and each.room(asking.holder) < asking.free]
        others = {holder for each in short for holder in each.limit.stored.parties} - {asking.holder}
        for mark in {mark_in(holder) for holder in others}:
            store = self._book.store(mark)
            if store is None or self._book.is_silent(mark, self._monotonic()):
                continue
            records = store.read(HOLDER, sorted(holder for holder in others if mark_in(holder) == mark))
            dead = [each.key for each in records if msgspec.json.decode(each.value, type=HolderRecord).rescued_by]
            for allotment in short:
                allotment.strike(dead)

    def _read(self, store: Guard, allotments: list[Allotment], asking: Asking) -> None:
        for kind in KINDS:
            of_kind = {each.limit.subject.name: each for each in allotments if each.limit.subject.kind == kind}
            found = {record.key: record for record in store.read(kind, list(of_kind))} if of_kind else {}
            for name, allotment in of_kind.items():
                record = found.get(name)
                stored = decoded(record.value) if record else StoredLimit(Rule())
                if stored.rule != allotment.rule:
                    self._is_told_of_rules = True
                subject = allotment.limit.subject
                allotment.was_read(ReadLimit(subject, stored, record.version if record else 0), asking.monotonic)

    def _write(self, allotments: list[Allotment], asking: Asking) -> list[Allotment]:
        """Writes what should be; gives those that others have changed meanwhile."""
        overtaken = self._at_home(allotments, lambda store, of_home: self._write_to(store, of_home, asking))
        return [each for of_home in overtaken for each in of_home]

    def _write_to(self, store: Guard, allotments: list[Allotment], asking: Asking) -> list[Allotment]:
        if any(each.needs_clock(asking) for each in allotments):
            asking = replace(asking, now=store.now())
        proposals = [(each, each.proposal(asking)) for each in allotments]
        changed = [(each, proposal) for each, proposal in proposals if each.differs(proposal)]
        for each, _ in changed:
            each.is_stale = True  # Until the store has answered.
        writes = [write_of(each.limit, proposal.stored) for each, proposal in changed]
        versions = store.write(writes) if writes else []
        concerns_others = False
        for (each, proposal), version in zip(changed, versions, strict=True):
            if version is not None:
                concerns_others |= each.was_written(proposal, version, asking)
        for each, proposal in proposals:
            if not each.is_stale:
                each.settled(proposal, asking, self._settings.poll)
        if concerns_others:
            store.wake([TOKENS_TOPIC])
        return [each for each, _ in changed if each.is_stale]
