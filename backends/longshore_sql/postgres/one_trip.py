"""A driver that does what is usual in one round trip (`longshore_sql.postgres.trips`), and the rest step by step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from longshore.contract import Answer, Change, Claim, Claimed
from longshore_sql.changing import Prepared
from longshore_sql.driver import SQLDriver
from longshore_sql.postgres.trips import Ends, Trips
from longshore_sql.statements import Asked, Row


class OneTripDriver(SQLDriver):
    """Settles and claims by statements that stand alone, where they suffice."""

    @cached_property
    @abstractmethod
    def _trips(self) -> Trips:
        """The statements."""

    @abstractmethod
    def _travelled(self, groups: Sequence[Sequence[Asked]]) -> list[list[Row]]:
        """The rows of statements, of which each group is a transaction; begun again where nothing was done."""

    def claim(self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None = None) -> Claimed:
        asked = self._trips.claim(claims, holder, limit, max_bytes)
        if asked is not None and (rows := self._travelled([[*self._trips.before(), asked]])[-1]):
            return Claimed(self._trips.jobs(rows))
        return self._claimed(claims, holder, limit, max_bytes)

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        prepared = self._changing.prepared(changes)
        ends = self._trips.ends(prepared) if tx is None else None
        if ends is None:
            return super().update(changes, tx=tx)
        made, *waited_for = self._travelled([[ends.asked], *self._followers(ends)])
        return self._answers(prepared, ends, made, waited_for)

    def exchange(
        self,
        changes: Sequence[Change],
        claims: Sequence[Claim],
        *,
        holder: str,
        limit: int,
        max_bytes: int | None = None,
    ) -> tuple[list[Answer], Claimed]:
        prepared = self._changing.prepared(changes)
        ends, asked = self._trips.ends(prepared), self._trips.claim(claims, holder, limit, max_bytes)
        if ends is None or asked is None:
            return super().exchange(changes, claims, holder=holder, limit=limit, max_bytes=max_bytes)
        first = [ends.asked, *self._trips.before(), asked]
        found = self._travelled([first, *self._followers(ends)])
        made, taken, waited_for = found[0], found[len(first) - 1], found[len(first) :]
        jobs = self._trips.jobs(taken)
        answers = self._answers(prepared, ends, made, waited_for)
        if jobs:
            return answers, Claimed(jobs)
        return answers, self._claimed(claims, holder, limit, max_bytes)

    def _claimed(self, claims: Sequence[Claim], holder: str, limit: int, max_bytes: int | None) -> Claimed:
        """What a claim takes step by step."""
        upcoming = self._trips.upcoming
        asked = upcoming.time()
        claimed = super().claim(claims, holder=holder, limit=limit, max_bytes=max_bytes)
        upcoming.note(claimed, asked)
        return claimed

    def _followers(self, ends: Ends) -> list[list[Asked]]:
        """What looks, once the ends are committed, who waits for them."""
        return [[self._changing.asked_for_followers(ends.ended)]] if ends.ended else []

    def _answers(
        self, prepared: Prepared, ends: Ends, made: Sequence[Row], waited_for: Sequence[Sequence[Row]]
    ) -> list[Answer]:
        """The answers to changes, of which those that were not made are made singly."""
        changes, places = prepared.given, ends.arranged.made(made)
        answers = ends.shape.answers(changes)
        if len(places) < len(changes):
            rest = [place for place in range(len(changes)) if place not in places]
            for place, answer in zip(rest, super().update([changes[place] for place in rest]), strict=True):
                answers[place] = answer
        parents = {parent for rows in waited_for for (parent,) in rows}
        suspects = [changes[place].id for place in sorted(places) if changes[place].id in parents]
        return self._released(changes, answers, suspects, ())
