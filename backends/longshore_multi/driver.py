"""Several stores as one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from functools import partial, reduce
from operator import and_
from typing import Any, Final, Self

from longshore.contract import (
    EVERY,
    SECOND,
    Answer,
    By,
    Change,
    Claim,
    Claimed,
    Clock,
    Driver,
    Features,
    Inserted,
    Instant,
    Limits,
    Listener,
    NewJob,
    Order,
    Page,
    Record,
    StoredJob,
    Where,
    Write,
)
from longshore.errors import ConfigurationError, Unavailable, Unsupported
from longshore_multi import inserting, records
from longshore_multi.asking import choosable, of_all, of_some, shuffled
from longshore_multi.changing import Changing
from longshore_multi.claiming import Taking
from longshore_multi.ears import Ears
from longshore_multi.finding import Finding
from longshore_multi.homes import Homes, drawn_by_lot
from longshore_multi.members import Member, members_of, target_of
from longshore_multi.paging import Question
from longshore_multi.part import Part

RETRY_SECONDS: Final = 30.0
_NOT_PROMISED: Final = Features.TRANSACTIONS | Features.ONE_PLACE


class MultiDriver(Driver):
    """Several stores, each opened by its own driver.

    Takes a list of URLs or live handles, or ``multi:URL URL …``. A store's tag is the fragment of its URL, else made of
    its address; ``2*URL`` gives it a weight. Options: ``weights``, one for each store or by tag; ``retry_seconds``, for
    which a store that did not answer is not chosen; all others are given to each store.
    """

    handles = ("builtins.list", "builtins.tuple")
    features = Features.DURABLE | Features.SHARED | Features.WAKEUPS
    limits = Limits()

    def __init__(self, members: Sequence[Member], parts: Sequence[Part], retry_seconds: float) -> None:
        self._members = members
        self._parts = {part.tag: part for part in parts}
        self._homes = Homes(parts)
        self._retry_seconds = retry_seconds

    @property
    def target(self) -> Any:
        """What reaches the same stores."""
        return target_of(self._members, [part.target for part in self.parts])

    @property
    def parts(self) -> tuple[Part, ...]:
        """The stores."""
        return tuple(self._parts.values())

    @classmethod
    def connect(
        cls,
        target: Any,
        *,
        clock: Clock | None = None,
        weights: Any = None,
        retry_seconds: float | str = RETRY_SECONDS,
        **options: Any,
    ) -> Self:
        members = members_of(target, weights, options)
        rest = _seconds(retry_seconds)
        monotonic = time.monotonic if clock is None else partial(_seconds_of, clock)
        parts = [Part(member, clock=clock, options=options, rest=rest, monotonic=monotonic) for member in members]
        driver = cls(members, parts, rest)
        try:
            of_some(parts, Part.open)
        except BaseException:
            driver.close()
            raise
        driver.features = reduce(and_, (part.features for part in parts)) & ~_NOT_PROMISED
        driver.limits = _least([part.limits for part in parts])
        return driver

    def close(self) -> None:
        for part in self.parts:
            part.close()

    def migrate(self) -> None:
        # One that is away is migrated as soon as it is back.
        of_some(self.parts, Part.migrate)

    def clear(self) -> None:
        of_all(self.parts, Part.clear)

    def now(self) -> Instant:
        failure: Unavailable | None = None
        for part in sorted(self.parts, key=lambda part: part.rests):
            try:
                return part.now()
            except Unavailable as error:
                failure = failure or error
        raise failure or Unavailable("there is no store")

    def name(self, identity: str, *, beside: Sequence[str] = ()) -> str:
        tag = self._homes.of(beside[0]) if beside else drawn_by_lot(choosable(self._parts))
        return f"{identity}@{tag}"

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None) -> list[Inserted]:
        _refuse(tx)
        return inserting.insert(self._parts, self._homes, jobs)

    def claim(self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None = None) -> Claimed:
        taking = Taking(claims, holder=holder, limit=limit, max_bytes=max_bytes)
        taking.take_from(shuffled(choosable(self._parts)))
        return taking.taken()

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        _refuse(tx)
        return Changing(self._parts, self._homes, changes).update()

    def exchange(
        self,
        changes: Sequence[Change],
        claims: Sequence[Claim],
        *,
        holder: str,
        limit: int,
        max_bytes: int | None = None,
    ) -> tuple[list[Answer], Claimed]:
        if not changes:
            return [], self.claim(claims, holder=holder, limit=limit, max_bytes=max_bytes)
        changing = Changing(self._parts, self._homes, changes)
        return changing.exchange(claims, holder=holder, limit=limit, max_bytes=max_bytes)

    def select(
        self,
        where: Where,
        *,
        order: Order = Order.NEWEST,
        limit: int = 100,
        after: str | None = None,
        each: int | None = None,
        body: bool = True,
    ) -> Page:
        question = Question(order, limit, each, body)
        return Finding(self._parts, self._homes, where).select(question, after)

    def count(self, by: By, where: Where = EVERY) -> dict[tuple[Any, ...], int]:
        counts: Counter[tuple[Any, ...]] = Counter()
        for found in of_all(self.parts, lambda part: part.count(by, where)):
            counts.update(found)
        return dict(counts)

    def delete(self, where: Where, *, limit: int = 1_000) -> list[str]:
        return Finding(self._parts, self._homes, where).delete(limit)

    def read(
        self,
        kind: str,
        keys: Sequence[str] | None = None,
        *,
        prefix: str = "",
        limit: int = 1_000,
        after: str | None = None,
    ) -> list[Record]:
        return records.read(self._parts, self._homes, kind, keys, prefix=prefix, limit=limit, after=after)

    def write(self, writes: Sequence[Write], *, tx: Any = None) -> list[int | None]:
        _refuse(tx)
        return records.write(self._parts, self._homes, writes)

    def wake(self, topics: Sequence[str]) -> None:
        of_some(self.parts, lambda part: part.wake(topics))

    def listen(self, topics: Sequence[str]) -> Listener:
        return Ears(self.parts, topics, again=self._retry_seconds)

    def examined(self) -> int | None:
        found = of_all(self.parts, Part.examined)
        return None if None in found else sum(number or 0 for number in found)


def _refuse(tx: Any) -> None:
    if tx is not None:
        raise Unsupported(
            "several stores have no transaction together, and tx is one of one server: leave it out, or keep the jobs "
            "that need it in that store alone"
        )


def _seconds(given: float | str) -> float:
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise ConfigurationError(f"expected retry_seconds to be a number of seconds, at least 0, got {given!r}")
    return seconds


def _seconds_of(clock: Clock) -> float:
    return clock() / SECOND


def _least(limits: Sequence[Limits]) -> Limits:
    least = {name: min(getattr(each, name) for each in limits) for name in Limits.__struct_fields__}
    return Limits(**least | {"resolution": max(each.resolution for each in limits)})
