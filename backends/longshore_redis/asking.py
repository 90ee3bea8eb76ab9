"""Which jobs: where a question is looked up, and the walk through what may be its answer.

A script answers candidates; which of them are asked for says `longshore.reference.matches`, here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from msgspec import msgpack
from msgspec.structs import asdict

from longshore import reference
from longshore.contract import HELD, UNENDED, Order, Page, State, StoredJob, Where
from longshore_redis.layout import Seen, seen

ROUNDS: Final = 10
"""How many scripts one page may cost; then it is short."""
CHUNK: Final = 500
"""How many jobs of each list a script looks at."""
FEW: Final = 2_000
"""How large a set in no order of age may be that is read as a whole."""
_QUEUED: Final = frozenset({State.WAITING, State.PENDING})

Run = Callable[..., Any]


class Found(NamedTuple):
    """What a script answered."""

    now: int
    is_all: bool
    last: tuple[str, bytes] | None
    jobs: list[Seen]


class Sources(NamedTuple):
    """Where to look."""

    ids: Sequence[str] | None = None
    small: list[tuple[str, int | None]] | None = None
    by_age: list[str] | None = None
    exact: bool = False
    """Whether nothing is found there that is not asked for."""


def sources_of(where: Where) -> Sources:
    """The narrowest sets in which everything is that may be asked for."""
    states = frozenset(where.states) if where.states is not None else None
    if where.ids is not None:
        return Sources(ids=where.ids)
    if where.holder is not None and (states is None or states <= HELD):
        return Sources(by_age=[f"held:{where.holder}"], exact=_only(where, "holder") or _is(where, HELD, "holder"))
    if where.parents is not None:
        return Sources(small=[(f"kids:{parent}", None) for parent in where.parents])
    if where.keys is not None and states is not None and states <= UNENDED:
        if states <= {State.WAITING}:
            return Sources(by_age=[f"wait:{key}" for key in where.keys], exact=_is(where, {State.WAITING}, "keys"))
        return Sources(by_age=[f"keyed:{key}" for key in where.keys], exact=_is(where, UNENDED, "keys"))
    if where.groups is not None and states is not None and states <= UNENDED:
        return Sources(by_age=[f"open:{group}" for group in where.groups], exact=_is(where, UNENDED, "groups"))
    return _by_time(where, states)


def _by_time(where: Where, states: frozenset[State] | None) -> Sources:
    if where.releases:
        return Sources(by_age=["releasing"], exact=_only(where, "releases"))
    if where.ended is not None:
        return Sources(small=[("ended", where.ended)])
    if where.expired is not None and states is not None and states <= _QUEUED:
        return Sources(small=[("overdue", where.expired)])
    return Sources(exact=_only(where, "queues", "states"))


def _only(where: Where, *names: str) -> bool:
    """Whether nothing else is asked."""
    return all(value is None or name in names for name, value in asdict(where).items())


def _is(where: Where, states: frozenset[State] | set[State], name: str) -> bool:
    return where.states is not None and set(where.states) == states and _only(where, name, "states")


class Questions:
    """Asks one store."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def page(self, where: Where, order: Order, limit: int, after: str | None, each: int | None, *, body: bool) -> Page:
        """What `Driver.select` answers."""
        last = _position(after)
        if each is not None:
            return self._first_of_each(where, order, limit, last, each, body=body)
        sources = sources_of(where)
        if sources.ids is not None:
            found = self._ask(sources, where, order, None, CHUNK, body=body)
            return _page(_sorted(_matching(found, where), order, last), limit)
        if sources.exact:
            found = self._ask(sources, where, order, last, limit + 1, body=body)
            return _page([one.job for one in found.jobs], limit)
        return self._walk_page(sources, where, order, limit, last, body=body)

    def _walk_page(
        self, sources: Sources, where: Where, order: Order, limit: int, last: tuple[str, bytes] | None, *, body: bool
    ) -> Page:
        jobs: list[StoredJob] = []
        seen_last = None
        for number, found in enumerate(self._walk(sources, where, order, last), 1):
            jobs += _sorted(_matching(found, where), order, last)
            seen_last = found.last
            if len(jobs) > limit or found.is_all:
                seen_last = None
                break
            if number == ROUNDS:
                break
        page = _page(jobs, limit)
        if page.after is None and seen_last is not None:
            page = Page(page.jobs, f"{seen_last[0]}:{seen_last[1].decode()}")
        return self._with_bodies(page, where, order) if body else page

    def _with_bodies(self, page: Page, where: Where, order: Order) -> Page:
        if not page.jobs:
            return page
        sources = Sources(ids=[job.id for job in page.jobs])
        found = self._ask(sources, where, order, None, CHUNK, body=True)
        return Page(_sorted(_matching(found, where), order, None), page.after)

    def _first_of_each(
        self, where: Where, order: Order, limit: int, last: tuple[str, bytes] | None, each: int, *, body: bool
    ) -> Page:
        sources = sources_of(where)
        if sources.exact and sources.by_age:
            found = self._ask(sources, where, order, None, each, body=False, alone=True)
            jobs = [one.job for one in found.jobs]
        else:
            jobs = [job for found in self._walk(sources, where, order, None) for job in _matching(found, where)]
            jobs = _sorted(jobs, order, None)
        met: Counter[str | None] = Counter()
        first: list[StoredJob] = []
        for job in jobs:
            name = job.key if where.keys is not None else job.group
            met[name] += 1
            if met[name] <= each:
                first.append(job)
        page = _page(_sorted(first, order, last), limit)
        return self._with_bodies(page, where, order) if body else page

    def walk(self, where: Where) -> Iterator[Found]:
        """All candidates, oldest first, without bodies: those that are asked for are still to be told from others."""
        return self._walk(sources_of(where), where, Order.OLDEST, None)

    def _walk(self, sources: Sources, where: Where, order: Order, last: tuple[str, bytes] | None) -> Iterator[Found]:
        while True:
            found = self._ask(sources, where, order, last, CHUNK, body=False)
            yield found
            if found.is_all:
                return
            last, sources = found.last, sources._replace(small=None)

    def _ask(
        self,
        sources: Sources,
        where: Where,
        order: Order,
        last: tuple[str, bytes] | None,
        chunk: int,
        *,
        body: bool,
        alone: bool = False,
    ) -> Found:
        asked = (
            list(dict.fromkeys(sources.ids)) if sources.ids is not None else False,
            [(name, False if ago is None else ago) for name, ago in dict.fromkeys(sources.small)]
            if sources.small is not None
            else False,
            FEW,
            list(dict.fromkeys(sources.by_age)) if sources.by_age is not None else False,
            where.queues if where.queues is not None else False,
            where.tasks if where.tasks is not None else False,
            where.states if where.states is not None else False,
            order is Order.NEWEST,
            chunk,
            last[0] if last else False,
            last[1].decode() if last else False,
            alone,
            body,
        )
        now, is_all, created, identity, *rest = self._run("select", msgpack.encode(asked))
        jobs = [seen(rest[at], rest[at + 1], rest[at + 2], body=body) for at in range(0, len(rest), 3)]
        return Found(int(now), is_all == 1, (created.decode(), identity) if created else None, jobs)


def _position(after: str | None) -> tuple[str, bytes] | None:
    if after is None:
        return None
    created, _, identity = after.partition(":")
    return created, identity.encode()


def _matching(found: Found, where: Where) -> list[StoredJob]:
    return [one.job for one in found.jobs if reference.matches(one.job, where, found.now)]


def _age(job: StoredJob) -> tuple[int, bytes]:
    return job.created, job.id.encode()


def _sorted(jobs: list[StoredJob], order: Order, last: tuple[str, bytes] | None) -> list[StoredJob]:
    ordered = sorted(jobs, key=_age, reverse=order is Order.NEWEST)
    if last is None:
        return ordered
    edge = (int(last[0]), last[1])
    return [job for job in ordered if (_age(job) < edge if order is Order.NEWEST else _age(job) > edge)]


def _page(jobs: list[StoredJob], limit: int) -> Page:
    more = len(jobs) > limit and limit > 0
    return Page(jobs[:limit], f"{jobs[limit - 1].created}:{jobs[limit - 1].id}" if more else None)
