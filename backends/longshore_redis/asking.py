"""Which jobs: where a question is looked up, and the walk through what may be its answer.

A script answers candidates; which of them are asked for says `longshore.reference.matches`, here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from msgspec import msgpack
from msgspec.structs import replace

from longshore import reference
from longshore.contract import HELD, UNENDED, Order, Page, State, StoredJob, Where
from longshore_redis.layout import Seen, seen

ROUNDS: Final = 10
"""How many scripts one page may cost; then it is short."""
CHUNK: Final = 500
"""How many jobs of each set a script looks at."""
FEW: Final = 2_000
"""How large a set in no order of age may be that is read as a whole."""
_QUEUED: Final = frozenset({State.WAITING, State.PENDING})

Run = Callable[..., Any]
Position = tuple[int, str]
"""Created and id."""


class Found(NamedTuple):
    """What a script answered."""

    now: int
    last: Position | None  # None: these are all.
    jobs: list[Seen]

    def matching(self, where: Where) -> list[StoredJob]:
        """Those that are asked for."""
        return [one.job for one in self.jobs if reference.matches(one.job, where, self.now)]


def sources_of(where: Where) -> dict[str, Any]:
    """The narrowest sets in which everything is that may be asked for, as `select.lua` takes them."""
    states = frozenset(where.states) if where.states is not None else frozenset(State)
    if where.ids is not None:
        return {"ids": list(dict.fromkeys(where.ids))}
    if where.holder is not None and (states <= HELD or where.states is None):
        return {"few": FEW, "holder": where.holder}
    for names, kept, prefix in (
        (where.parents, {State.WAITING}, "blocked"),
        (where.parents, frozenset(State), "children"),
        (where.keys, {State.WAITING}, "wait"),
        (where.keys, UNENDED, "keyed"),
        (where.groups, UNENDED, "open"),
    ):
        if names is not None and states <= kept:
            return {"sets": [f"{prefix}:{name}" for name in dict.fromkeys(names)]}
    if where.releases:
        return {"sets": ["releasing"]}
    lists: dict[str, Any] = {"queues": where.queues, "tasks": where.tasks, "states": where.states}
    if states <= HELD:
        return lists | {"few": FEW}
    if where.ended is not None:
        return lists | {"few": FEW, "scored": "ended", "ago": where.ended}
    if where.expired is not None and states <= _QUEUED:
        return lists | {"few": FEW, "scored": "overdue", "ago": where.expired}
    return lists


class Questions:
    """Asks one store."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def page(self, where: Where, order: Order, limit: int, after: str | None, each: int | None, *, body: bool) -> Page:
        """What `Driver.select` answers."""
        last = _position(after)
        if each is not None:
            page = _page(_in_order(self._first_of_each(where, order, each), order, last), limit)
        else:
            page = self._walked(where, order, limit, last)
        if body and page.jobs:
            found = self._ask({"ids": [job.id for job in page.jobs]}, order, None, body=True)
            page = Page(_in_order(found.matching(where), order, None), page.after)
        return page

    def walk(
        self, where: Where, order: Order = Order.OLDEST, last: Position | None = None, first: int = CHUNK
    ) -> Iterator[Found]:
        """All candidates without bodies, the first so many in the first round: not all of them are asked for."""
        sources, each = sources_of(where), first
        while True:
            found = self._ask(sources, order, last, each)
            yield found
            if found.last is None:
                return
            last, each = found.last, CHUNK
            sources.pop("few", None)

    def _walked(self, where: Where, order: Order, limit: int, last: Position | None) -> Page:
        jobs: list[StoredJob] = []
        for number, found in enumerate(self.walk(where, order, last, min(limit + 1, CHUNK)), 1):
            jobs += _in_order(found.matching(where), order, last)
            if len(jobs) > limit or found.last is None:
                break
            if number == ROUNDS:
                return Page(jobs, "{}:{}".format(*found.last))
        return _page(jobs, limit)

    def _first_of_each(self, where: Where, order: Order, each: int) -> list[StoredJob]:
        """The first of each key or group: one script for all of them, more for those of which it met others first."""
        by = "keys" if where.keys is not None else "groups"
        names = list(dict.fromkeys(getattr(where, by) or ()))
        sources, met = sources_of(where), Counter[str | None]()
        jobs: list[StoredJob] = []
        if "sets" in sources:
            found = self._ask(sources, order, None, each, alone=True)
            jobs = found.matching(where)
            matched = Counter(getattr(job, by[:-1]) for job in jobs)
            met = Counter(getattr(one.job, by[:-1]) for one in found.jobs)
            names = [name for name in names if matched[name] < each <= met[name]]
            jobs = [job for job in jobs if getattr(job, by[:-1]) not in names]
        for name in names:
            jobs += self._first_of(replace(where, **{by: [name]}), order, each)
        return jobs

    def _first_of(self, where: Where, order: Order, each: int) -> list[StoredJob]:
        jobs: list[StoredJob] = []
        for found in self.walk(where, order):
            jobs += found.matching(where)
            if len(jobs) >= each:
                break
        return _in_order(jobs, order, None)[:each]

    def _ask(
        self,
        sources: dict[str, Any],
        order: Order,
        last: Position | None,
        each: int = CHUNK,
        *,
        body: bool = False,
        alone: bool = False,
    ) -> Found:
        asked: dict[str, Any] = {
            "newest": order is Order.NEWEST,
            "each": each,
            "alone": alone,
            "body": body,
        }
        if last is not None:
            asked |= {"created": str(last[0]), "id": last[1]}
        now, is_all, created, identity, found = self._run("select", msgpack.encode(sources | asked))
        jobs = [seen(found[at], found[at + 1], found[at + 2], body=body) for at in range(0, len(found), 3)]
        return Found(int(now), None if is_all else (int(float(created)), identity.decode()), jobs)


def _position(after: str | None) -> Position | None:
    if after is None:
        return None
    created, _, identity = after.partition(":")
    return int(created), identity


def _age(job: StoredJob) -> tuple[int, bytes]:
    return job.created, job.id.encode()


def _in_order(jobs: list[StoredJob], order: Order, last: Position | None) -> list[StoredJob]:
    ordered = sorted(jobs, key=_age, reverse=order is Order.NEWEST)
    if last is None:
        return ordered
    edge = (last[0], last[1].encode())
    return [job for job in ordered if (_age(job) < edge if order is Order.NEWEST else _age(job) > edge)]


def _page(jobs: Sequence[StoredJob], limit: int) -> Page:
    more = len(jobs) > limit and limit > 0
    return Page(list(jobs[:limit]), f"{jobs[limit - 1].created}:{jobs[limit - 1].id}" if more else None)
