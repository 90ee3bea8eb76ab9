"""Counting stored jobs.

To count by queue, each index of jobs in some state is counted by itself: no row is read, and what waits is counted
without a look at a long history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Select, func, select

from longshore.contract import ENDED, HELD, By, State, Where
from longshore_sql.dialect import Dialect
from longshore_sql.filters import Filters, filter_key, is_impossible
from longshore_sql.schema import Lane, Schema, constant, is_any_of
from longshore_sql.statements import Statement, Step

_LIFTED: Final[dict[str, Callable[[Any], Any]]] = {
    "queue": str, "task": str, "holder": lambda holder: holder, "group": str, "state": State,
}  # fmt: skip


class _Part(NamedTuple):
    """Jobs in some states, and the index in which they all are."""

    states: frozenset[State]
    place: str
    condition: ColumnElement[bool]


class Counting:
    """Counts jobs of one schema."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        self._schema = schema
        self._dialect = dialect
        self._filters = Filters(schema, dialect)
        self._statements: dict[tuple[Any, ...], list[Statement]] = {}

    def count(self, step: Step, by: By, where: Where) -> dict[tuple[Any, ...], int]:
        """How many jobs there are of each combination."""
        if is_impossible(where):
            return {}
        key = (by, filter_key(where))
        if key not in self._statements:
            self._statements[key] = [self._dialect.compiled(statement) for statement in self._counting(by, where)]
        values = self._filters.values(where, step.now)
        lifts = [_LIFTED[name] for name in by.value]
        counts: Counter[tuple[Any, ...]] = Counter()
        for statement in self._statements[key]:
            for row in statement.run(step.cursor, **values):
                counts[tuple(lift(part) for lift, part in zip(lifts, row, strict=False))] += row[-1]
        return dict(counts)

    def _counting(self, by: By, where: Where) -> list[Select[Any]]:
        job = self._schema.job.c
        columns = [job[name] for name in by.value]
        whole = select(*columns, func.count()).where(*self._filters.conditions(where)).group_by(*columns)
        if by is By.HOLDER:
            return [whole.where(self._schema.is_held(), is_any_of(job.state, HELD))]
        if by is By.GROUP_STATE:
            return [whole.where(job.group.is_not(None))]
        asked = frozenset(State if where.states is None else where.states)
        return [self._counting_part(by, where, part) for part in self._parts() if part.states & asked]

    def _counting_part(self, by: By, where: Where, part: _Part) -> Select[Any]:
        job = self._schema.job.c
        columns: list[ColumnElement[Any]] = [job[name] for name in by.value]
        grouped = list(columns)
        if len(part.states) == 1:
            place = by.value.index("state")
            columns[place] = constant(*part.states)
            del grouped[place]
        # The states are left to the part: an index of one state need not hold it.
        states = part.states if where.states is None else part.states & frozenset(where.states)
        conditions = [*self._filters.conditions(replace(where, states=None)), part.condition]
        if len(part.states) > 1:
            conditions.append(is_any_of(job.state, states))
        counted = select(*columns, func.count()).where(*conditions).group_by(*grouped)
        return self._dialect.through(counted, self._schema.job, self._schema.index(part.place))

    def _parts(self) -> list[_Part]:
        job, waiting, pending = self._schema.job.c, frozenset({State.WAITING}), frozenset({State.PENDING})
        lanes = {"ready": Lane.READY, "aside": Lane.ASIDE, "future": Lane.FUTURE}
        return [
            *(_Part(pending, index, job.lane == constant(lane)) for index, lane in lanes.items()),
            _Part(waiting, "waiting", is_any_of(job.state, waiting)),
            _Part(HELD, "held", self._schema.is_held()),
            _Part(ENDED, "ended", self._schema.is_ended()),
        ]
