"""What one worker has of one limit."""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from longshore.limits.stored import ReadLimit, Rule, StoredLimit
from longshore.worker.claims.grants import Grants
from longshore.worker.claims.shares import Asking, Standing, has_rivals, shared_out
from longshore.worker.runs import Run

UNLIMITED_ROOM: Final = 1 << 30
TURN: Final = 1.0
"""Seconds for which tokens that others wait for are used again, and for which unused ones lie here if nobody waits."""
_PAUSE: Final = 0.2
"""Seconds for which who gave tokens up for others does not ask, give or take a half."""


class Proposal(Struct, frozen=True):
    """The record as it should be, and how many tokens of the rate are here when it is."""

    stored: StoredLimit
    grants: int


class Allotment:
    """The tokens that a worker has of one limit, as its copy of the record says, and the runs that use them.

    Times are by the process's own clock.
    """

    def __init__(self, limit: ReadLimit, now: float) -> None:
        self.limit = limit
        self.is_stale = False
        self.is_short = False
        self._lacks_share = False
        self._runs: set[Run] = set()
        self._grants = Grants()
        self._is_unused = False
        self._read_at = now
        self._used_at = now
        self._turn_ends = now + TURN
        self._not_before = float("-inf")
        self._retry_at = float("-inf")

    @property
    def rule(self) -> Rule:
        """The rule as it was read last."""
        return self.limit.stored.rule

    def room(self, holder: str) -> int:
        """How many more runs may begin here."""
        rule = self.rule
        if not self.limit.version:
            return UNLIMITED_ROOM
        rooms: list[int] = []
        if rule.count is not None:
            rooms.append(self._grants.number)
        if rule.running is not None:
            rooms.append(self._free_share(holder))
        return max(0, min(rooms))

    def begins(self, run: Run, now: float) -> None:
        """A job is here that was claimed."""
        self._runs.add(run)
        self._used_at = now
        self._grants.use()

    def ends(self, run: Run, now: float) -> None:
        """It is not any more; if it was handed back before it began, it has not used its token of the rate."""
        if run in self._runs:
            self._runs.remove(run)
            self._used_at = now
            if run.began is None and self.rule.count is not None:
                self._grants.unused(self.rule, now)

    def counts(self, run: Run) -> None:
        """A run was here before the limit was known."""
        self._runs.add(run)

    def was_offered(self, left: int) -> None:
        """A claim that could have brought more left room for so many."""
        self._is_unused = left > 0

    # When there is something to do.

    @property
    def ask_at(self) -> float:
        """When to ask again, if there was no room: until then the store need not be bothered."""
        if not self.is_short:
            return float("inf")
        return max(self._not_before, self._retry_at if self._lacks_share else self._grants.retry_at)

    def tidy_at(self, holder: str) -> float:
        """When what lies here unused is to be given back, or the record to be put right."""
        spare = self._spare(holder)
        if spare < 0:
            return float("-inf")
        ends = self._grants.end
        if spare:
            at_once = self._is_unused and has_rivals(self.limit.stored, holder)
            ends = min(ends, self._used_at + (0 if at_once else TURN))
        return max(ends, self._not_before)

    def must_look(self, asking: Asking, *, is_told: bool) -> bool:
        """Whether the copy is too old to go by."""
        now, stored = asking.monotonic, self.limit.stored
        if self.is_stale:
            return True
        if now < self._not_before:
            return False
        waits = asking.holder in stored.waiting
        if is_told and (waits or self._spare(asking.holder) > 0):
            return True
        if not asking.is_claiming:
            return False
        concerns = asking.holder in stored.shares or self.room(asking.holder) < asking.free
        return (concerns and now - self._read_at >= TURN) or (waits and now >= self._retry_at)

    def needs_clock(self, asking: Asking) -> bool:
        """Whether it must be known how late it is in the store."""
        return self.rule.count is not None and self._grants.number < asking.wanted and self._grants.may_take(asking)

    def was_read(self, limit: ReadLimit, now: float) -> None:
        """The record as it is now."""
        self.limit = limit
        self.is_stale = False
        self._read_at = now

    def strike(self, dead: Collection[str]) -> None:
        """These have lost their tokens with their leases."""
        if self.limit.stored.parties.intersection(dead):
            self.limit = replace(self.limit, stored=self.limit.stored.without(dead))

    # What is asked for.

    def proposal(self, asking: Asking) -> Proposal:
        """What the record should become, so that there is as much as is wanted and may be had."""
        stored, now = self.limit.stored, asking.monotonic
        if asking.is_claiming and now < self._not_before and not asking.is_ending:
            asking = replace(asking, is_claiming=False)
        lets_go = now - self._used_at >= TURN or (self._is_unused and has_rivals(stored, asking.holder))
        standing = Standing(len(self._runs), lets_go and not asking.is_claiming, now >= self._turn_ends)
        after = shared_out(stored, asking, standing)
        if self.rule.count is None:
            return Proposal(after, 0)
        most = asking.wanted
        if self.rule.running is not None:
            most = min(most, after.shares.get(asking.holder, 0) - standing.used)
        empty, grants = self._grants.proposed(self.rule, stored.empty, most, asking)
        return Proposal(replace(after, empty=empty), grants)

    def differs(self, proposal: Proposal) -> bool:
        """Whether something is to be written."""
        return proposal.stored != self.limit.stored

    def was_written(self, proposal: Proposal, version: int, asking: Asking) -> bool:
        """The record is as it was proposed; tells whether others have something to look for."""
        holder, before, after = asking.holder, self.limit.stored, proposal.stored
        had, has = before.shares.get(holder, 0), after.shares.get(holder, 0)
        self.limit = replace(self.limit, stored=after, version=version)
        self.is_stale = False
        if has and not had:
            self._turn_ends = asking.monotonic + TURN
        gave = has < had and has_rivals(after, holder)
        if gave:
            self._not_before = asking.monotonic + _PAUSE * random.uniform(0.5, 1.5)
        return gave or (holder in after.waiting and holder not in before.waiting)

    def settled(self, proposal: Proposal, asking: Asking, poll: float) -> None:
        """There is as much as could be had for now."""
        now = asking.monotonic
        self._grants.become(self.rule, proposal.grants, asking)
        if now >= self._turn_ends:
            self._turn_ends = now + TURN
        if asking.is_claiming:
            self.is_short = not self.room(asking.holder)
            most = asking.wanted if self.rule.running is None else min(asking.wanted, self._free_share(asking.holder))
            self._lacks_share = most <= 0
            if now >= self._retry_at:
                self._retry_at = now + poll * random.uniform(0.5, 1.5)
            if not self._lacks_share:
                self._grants.wait(self.rule, most, now)

    def _free_share(self, holder: str) -> int:
        """How many runs may begin: none while more run than the rule allows, wherever they do."""
        beyond = sum(self.limit.stored.shares.values()) - (self.rule.running or 0)
        return self._spare(holder) - max(0, beyond)

    def _spare(self, holder: str) -> int:
        return 0 if self.rule.running is None else self.limit.stored.shares.get(holder, 0) - len(self._runs)
