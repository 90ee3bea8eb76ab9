"""What `Where` asks for, as conditions on rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, or_, select

from longshore.contract import ENDED, HELD, Instant, State, Where
from longshore_sql.dialect import Dialect
from longshore_sql.schema import OVERDUE, Schema, constant, is_any_of
from longshore_sql.statements import given

_LISTS: Final = ("ids", "queues", "tasks", "groups", "keys", "parents")
_AGES: Final = ("due", "expired", "ended", "changed")
_TEXTS: Final = ("holder", "unique_key")

_BY_STATE: Final = {
    "waiting": frozenset({State.WAITING}),
    "held": HELD,
    "ended": ENDED - {State.SUCCEEDED},
}

FilterKey = tuple[Any, ...]


def filter_key(where: Where) -> FilterKey:
    """What questions have in common that are asked by one statement. Notes are not looked for by statements."""
    lists = tuple((name, len(asked) == 1) for name in _LISTS if (asked := getattr(where, name)) is not None)
    others = tuple(name for name in (*_AGES, *_TEXTS) if getattr(where, name) is not None)
    return lists, others, where.releases, None if where.states is None else frozenset(where.states)


def index_by_state(where: Where) -> str | None:
    """The index in which all jobs of the asked states are, where these are few and nothing else finds them."""
    named = (where.ids, where.groups, where.keys, where.parents, where.holder, where.unique_key, where.releases)
    if where.states is None or any(asked is not None for asked in named):
        return None
    states = frozenset(where.states)
    return next((index for index, found in _BY_STATE.items() if states <= found), None)


def is_by_age(where: Where) -> bool:
    """Whether jobs are best looked for in the order in which they were created: nothing else finds few of them, or an
    index that does has them in this order."""
    exact = (where.ids, where.parents, where.holder, where.unique_key, where.expired, where.ended, where.changed)
    if any(asked is not None for asked in exact) or index_by_state(where) is not None:
        return False
    related = where.keys if where.keys is not None else where.groups
    return related is None or (len(related) == 1 and where.states is not None and len(where.states) == 1)


def is_impossible(where: Where) -> bool:
    """Whether a list is given that nothing can be an element of."""
    return any(asked is not None and not asked for asked in (*(getattr(where, name) for name in _LISTS), where.states))


class Filters:
    """Makes conditions and their values."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        self._schema = schema
        self._dialect = dialect
        job = schema.job.c
        self._columns = {
            "ids": job.id,
            "queues": job.queue,
            "tasks": job.task,
            "groups": job.group,
            "keys": job.key,
            "parents": schema.parent.c.parent,
        }
        self._searched = self._others(lambda column: column)
        self._searched["holder"] &= schema.is_held()
        self._searched["ended"] &= schema.is_ended()
        self._compared = self._others(dialect.unindexed)

    def conditions(self, where: Where) -> list[ColumnElement[bool]]:
        """What rows have to fulfil; the values are those of `values`."""
        lists, others, releases, states = filter_key(where)
        conditions = [self._is_in(name, single) for name, single in lists]
        by_id = where.ids is not None
        conditions += [(self._compared if by_id else self._searched)[name] for name in others]
        if releases is not None:
            conditions.append(self._schema.job.c.releases == constant(releases))
        if states is not None and by_id:
            conditions.append(is_any_of(self._dialect.unindexed(self._schema.job.c.state), states))
        elif states is not None:
            conditions.append(is_any_of(self._schema.job.c.state, states))
            if states <= HELD:
                conditions.append(self._schema.is_held())
            if states <= ENDED:
                conditions.append(self._schema.is_ended())
            if states <= OVERDUE and "expired" in others:
                conditions.append(is_any_of(self._schema.job.c.state, OVERDUE))
        return conditions

    def values(self, where: Where, now: Instant) -> dict[str, Any]:
        """The values of the conditions."""
        values: dict[str, Any] = {}
        for name in _LISTS:
            asked = getattr(where, name)
            if asked is not None:
                values[name] = next(iter(asked)) if len(asked) == 1 else self._dialect.listing(asked)
        values |= {name: now - ago for name in _AGES if (ago := getattr(where, name)) is not None}
        values |= {name: text for name in _TEXTS if (text := getattr(where, name)) is not None}
        return values

    def _others(self, of: Callable[[ColumnElement[Any]], ColumnElement[Any]]) -> dict[str, ColumnElement[bool]]:
        job = self._schema.job.c
        recent = [of(job.created) >= given("changed"), of(job.ended) >= given("changed")]
        return {
            "holder": of(job.holder) == given("holder"),
            "unique_key": of(job.unique_key) == given("unique_key"),
            "due": of(job.due) <= given("due"),
            "expired": of(job.expires) <= given("expired"),
            "ended": of(job.ended) <= given("ended"),
            "changed": or_(is_any_of(of(job.state), HELD), *recent),
        }

    def _is_in(self, name: str, single: bool) -> ColumnElement[bool]:
        """A list of one is a comparison, which leaves the order of an index behind the column as it is."""
        column = self._columns[name]
        within = column == given(name) if single else self._dialect.among(column, name)
        if name == "parents":
            return self._schema.job.c.id.in_(select(self._schema.parent.c.child).where(within))
        return within
