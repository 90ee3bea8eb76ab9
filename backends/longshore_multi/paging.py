"""One list of jobs from several stores, page by page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from longshore.contract import Order, Page, StoredJob, Where
from longshore.errors import InvalidValue
from longshore_multi.part import Part

Age = tuple[int, bytes]


class Question(Struct, frozen=True):
    """What is asked of each part."""

    order: Order
    limit: int
    each: int | None
    body: bool

    def of(self, part: Part, where: Where, after: str | None = None) -> Page:
        """One page of a part."""
        return part.select(where, order=self.order, limit=self.limit, after=after, each=self.each, body=self.body)


class Cursor(Struct, frozen=True):
    """How far a list was read.

    Attributes:
        at: (created, id) of the last job that was given.
        pages: by tag, where the page begins in which the next of that part is; None: with the first.
    """

    at: tuple[int, str] | None
    pages: Mapping[str, str | None]

    @classmethod
    def of(cls, text: str | None, tags: Sequence[str]) -> Cursor:
        """The one that was given; or the beginning, of these parts."""
        if text is None:
            return cls(None, dict.fromkeys(tags))
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as error:
            raise InvalidValue(f"expected the cursor of a page of these stores, got {text!r}") from error


def merged(parts: Mapping[str, Part], wheres: Mapping[str, Where], question: Question, after: str | None) -> Page:
    """The next page: all parts together by (created, id)."""
    if question.each is not None:
        return _firsts(parts, wheres, question, after)
    if len(wheres) == 1:
        ((tag, where),) = wheres.items()
        return question.of(parts[tag], where, after)
    cursor = Cursor.of(after, list(wheres))
    pages = {tag: question.of(parts[tag], wheres[tag], start) for tag, start in cursor.pages.items() if tag in wheres}
    rest = {tag: _beyond(page.jobs, cursor.at, question.order) for tag, page in pages.items()}
    given = _in_order([job for jobs in rest.values() for job in jobs], question.order)
    # What comes after the page of one part may stand before jobs of another.
    ends = [_last(pages[tag], cursor.at) for tag in pages if pages[tag].after is not None]
    given = [job for job in given if all(_is_up_to(job, end, question.order) for end in ends)][: question.limit]
    at = (given[-1].created, given[-1].id) if given else cursor.at
    starts = _starts(pages, rest, {job.id for job in given}, cursor)
    return Page(given, msgspec.json.encode(Cursor(at, starts)).decode() if starts else None)


def _starts(
    pages: Mapping[str, Page], rest: Mapping[str, Sequence[StoredJob]], given: set[str], cursor: Cursor
) -> dict[str, str | None]:
    """Where each part goes on: with the same page while something of it was not given. What has ended is left out."""
    starts: dict[str, str | None] = {}
    for tag, page in pages.items():
        if any(job.id not in given for job in rest[tag]):
            starts[tag] = cursor.pages[tag]
        elif page.after is not None:
            starts[tag] = page.after
    return starts


def _firsts(parts: Mapping[str, Part], wheres: Mapping[str, Where], question: Question, after: str | None) -> Page:
    """The first of each key or group, which are few: all of them are read."""
    cursor = Cursor.of(after, [])
    everything: list[StoredJob] = []
    for tag, where in wheres.items():
        page = question.of(parts[tag], where)
        everything += page.jobs
        while page.after is not None:
            page = question.of(parts[tag], where, page.after)
            everything += page.jobs
    met: Counter[Any] = Counter()
    firsts: list[StoredJob] = []
    for job in _in_order(everything, question.order):
        name = job.key if next(iter(wheres.values())).keys is not None else job.group
        met[name] += 1
        if met[name] <= (question.each or 0):
            firsts.append(job)
    rest = _beyond(firsts, cursor.at, question.order)
    given = rest[: question.limit]
    if len(rest) <= question.limit or not given:
        return Page(given)
    return Page(given, msgspec.json.encode(Cursor((given[-1].created, given[-1].id), {})).decode())


def narrowed(where: Where, ids: Sequence[str]) -> Where:
    """The same question, of these jobs."""
    return replace(where, ids=ids)


def _age(job: StoredJob) -> Age:
    return job.created, job.id.encode()


def _in_order(jobs: Sequence[StoredJob], order: Order) -> list[StoredJob]:
    return sorted(jobs, key=_age, reverse=order is Order.NEWEST)


def _beyond(jobs: Sequence[StoredJob], at: tuple[int, str] | None, order: Order) -> list[StoredJob]:
    if at is None:
        return list(jobs)
    last = (at[0], at[1].encode())
    return [job for job in jobs if (_age(job) < last if order is Order.NEWEST else _age(job) > last)]


def _last(page: Page, at: tuple[int, str] | None) -> Age | None:
    """How far a page reaches; an empty one no farther than what was given before."""
    if page.jobs:
        return _age(page.jobs[-1])
    return (at[0], at[1].encode()) if at is not None else None


def _is_up_to(job: StoredJob, end: Age | None, order: Order) -> bool:
    if end is None:
        return False
    return _age(job) >= end if order is Order.NEWEST else _age(job) <= end
