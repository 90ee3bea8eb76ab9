"""Changes of one shape: those that set the same fields under the same guards, and are made by one statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Update, case, exists, null, select

from longshore.contract import ENDED, HELD, Answer, Change, Outcome, State
from longshore_sql.dialect import Dialect, cell
from longshore_sql.rows import lane_of, stored
from longshore_sql.schema import Lane, Schema, constant, is_any_of
from longshore_sql.statements import Row, Statement, Step, given

_PLAIN: Final = frozenset(
    {
        "attempt", "max_attempts", "crashes", "max_crashes", "snoozes", "codec", "payload", "digest",
        "result_codec", "result", "cursor", "cancel_asked", "awaited", "releases",
    }
)  # fmt: skip
"""Fields that are set without regard to anything else."""

_ATTEMPT: Final = "attempt_record"
_TIMES: Final = frozenset({"delay", "due"})
_BINARY: Final = frozenset({"payload", "digest", "result", "cursor"})
_FLAGS: Final = frozenset({"cancel_asked", "awaited", "releases"})

ROWS: Final = 25
"""Changes that one statement makes where the database can read them from a given table: it takes two thirds of the
time, and in Python other threads go on meanwhile."""

ShapeKey = tuple[Any, ...]
Names = Callable[[str], ColumnElement[Any]]
"""Where in a statement the value of a name comes from."""


def shape_of(change: Change) -> ShapeKey:
    """What changes have in common that are made by one statement."""
    return (
        change.to,
        change.states,
        change.generation is None,
        change.holder is None,
        change.cancel_asked,
        change.settles,
        change.renews,
        *change.fields,
    )


class Shape:
    """One statement for all changes that set the same fields under the same guards, and the answers to them."""

    def __init__(self, schema: Schema, dialect: Dialect, example: Change) -> None:
        self._schema = schema
        self._fields = frozenset(example.fields)
        self.appends = _ATTEMPT in self._fields
        self._converted = [name for name in example.fields if name in _BINARY | _FLAGS]
        self._timed = not self._fields.isdisjoint(_TIMES)
        self._state = example.to if example.to is not None else next(iter(example.states or {State.PENDING}))
        self._renewed = int(example.renews)
        self._example = example
        self._dialect = dialect
        self._single = dialect.compiled(self._update(example, given))

    @staticmethod
    def fits(change: Change) -> bool:
        """Whether the outcome of a change of this shape is known without reading the row."""
        names = change.fields.keys() - {_ATTEMPT}
        if change.generation is None or change.to in {State.RUNNING, State.RESERVED}:
            return False
        if change.to is None:
            sets = bool(change.fields) or change.settles or change.renews
            return sets and change.states is not None and len(change.states) == 1 and names <= _PLAIN
        return names <= (_PLAIN | _TIMES if change.to is State.PENDING else _PLAIN)

    def make(self, step: Step, changes: Sequence[Change], bulk: Bulk | None = None) -> int:
        """Makes each change whose guards hold; how many were made."""
        cursor, now = step.cursor, step.now
        rows = [self._named(change, now) for change in changes]
        if len(rows) == 1:
            return self._single.run(cursor, **rows[0]).rowcount
        made = 0
        while bulk is not None and len(rows) >= bulk.least:
            cursor.execute(*bulk.asked(rows[: bulk.most], now))
            made += cursor.rowcount
            del rows[: bulk.most]
        if rows:
            cursor.executemany(self._single.text, map(self._single.values, rows))
            made += cursor.rowcount
        return made

    def make_by_arrays(self, step: Step, changes: Sequence[Change], bulk: ArrayBulk) -> set[int]:
        """Makes each change whose guards hold: the places of those that were made."""
        changed = self.arranged(changes, bulk, step.now)
        step.cursor.execute(bulk.text, changed.values)
        return changed.made(step.cursor.fetchall())

    def arranged(self, changes: Sequence[Change], bulk: ArrayBulk, now: int | None) -> Arranged:
        """Changes as the statement for many of them takes them."""
        # Everybody's statements take their rows in the order of ids: so nobody waits for who waits for him.
        order = sorted(range(len(changes)), key=lambda position: changes[position].id)
        ordered = [changes[position] for position in order]
        return Arranged(bulk.arrays(self._columns(ordered, now), now), order)

    @cached_property
    def bulk(self) -> Bulk | ArrayBulk | None:
        """The statement for many changes, where the database has one."""
        names = self._names
        arrays = self._dialect.arrays([self._schema.job.c[name] for name in names])
        if arrays is not None:
            return self._by_arrays(arrays, given("now"), ())
        repeats = self._dialect.repeats_rows
        table = self._dialect.table(names, 1 if repeats else ROWS)
        if table is None:
            return None
        update = self._update(self._example, lambda name: table.c[name] if name in table.c else given(name))
        if repeats:
            return RepeatedBulk(self._dialect.compiled(update), names, self._dialect.repeated)
        return Bulk(self._dialect.compiled(update), names)

    def alone(self, now: ColumnElement[int]) -> ArrayBulk | None:
        """The statement for any number of changes, where ``now`` asks for the time, and is NULL where nothing is to be
        done; None where it takes more than one statement, or has to know the time before."""
        arrays = self._dialect.arrays([self._schema.job.c[name] for name in self._names])
        if arrays is None or self.appends or self._timed:
            return None
        return self._by_arrays(arrays, now, [now.is_not(None)])

    @property
    def _names(self) -> list[str]:
        return sorted({*self._single.names} - {"now"})

    def _by_arrays(
        self, arrays: FromClause, now: ColumnElement[Any], further: Sequence[ColumnElement[bool]]
    ) -> ArrayBulk:
        update = self._update(self._example, lambda name: now if name == "now" else arrays.c[name])
        update = update.where(*further).returning(arrays.c.place)
        return ArrayBulk(self._dialect.compiled(update), self._names, self._dialect.listing)

    def _columns(self, changes: Sequence[Change], now: int | None) -> dict[str, list[Any]]:
        """What the changes set and guard by, by name."""
        if now is not None and self._timed:
            rows = [self._named(change, now) for change in changes]
            return {name: [row[name] for row in rows] for name in self._names}
        guards: dict[str, list[Any]] = {
            "id": [change.id for change in changes],
            "generation": [change.generation for change in changes],
            "holder": [change.holder for change in changes],
        }
        fields: list[Mapping[str, Any]] = [change.fields for change in changes]
        return guards | {name: [each[name] for each in fields] for name in self._fields - {_ATTEMPT}}

    def _named(self, change: Change, now: int) -> dict[str, Any]:
        named: dict[str, Any] = {
            **change.fields,
            "id": change.id,
            "generation": change.generation,
            "holder": change.holder,
            "now": now,
        }
        for name in self._converted:
            named[name] = stored(named[name])
        if self._timed:
            due = now + named["delay"] if "delay" in named else named["due"]
            named["due"], named["lane"] = due, int(lane_of(State.PENDING, due, now))
        return named

    def answers(self, changes: Sequence[Change]) -> list[Answer]:
        """The answers to changes that were all made."""
        if not self._fields.isdisjoint(_FLAGS):
            return list(map(self.answer, changes))
        # Those of one generation are the same.
        known = {change.generation: change for change in changes}
        answers = {generation: self.answer(change) for generation, change in known.items()}
        return [answers[change.generation] for change in changes]

    def answer(self, change: Change) -> Answer:
        """The answer to a change that was made."""
        asked = change.fields.get("cancel_asked", bool(change.cancel_asked))
        awaited = change.fields.get("awaited", False)
        releases = self._state in ENDED and change.fields.get("releases", False)
        return Answer(Outcome.MOVED, self._state, (change.generation or 0) + self._renewed, asked, awaited, releases)

    def _update(self, change: Change, of: Names) -> Update:
        return self._schema.job.update().where(*self._guards(change, of)).values(self._values(change, of))

    def _guards(self, change: Change, of: Names) -> list[ColumnElement[bool]]:
        job = self._schema.job.c
        guards = [job.id == of("id"), job.generation == of("generation")]
        if change.states is not None:
            guards.append(is_any_of(self._dialect.unindexed(job.state), change.states))
        if change.holder is not None:
            guards.append(self._dialect.unindexed(job.holder) == of("holder"))
        if change.cancel_asked is not None or "cancel_asked" not in change.fields:
            guards.append(job.cancel_asked == constant(bool(change.cancel_asked)))
        if "awaited" not in change.fields:
            guards.append(job.awaited == constant(False))
        if self._state in ENDED and "releases" not in change.fields:
            guards.append(job.releases == constant(False))
        if change.to in ENDED:
            child = select(self._schema.parent.c.child).where(self._schema.parent.c.parent == job.id)
            guards += [job.unique_slot.is_(None), job.turn.is_(None), ~exists(child)]
        return guards

    def _values(self, change: Change, of: Names) -> dict[str, Any]:
        job = self._schema.job.c
        values: dict[str, Any] = {}
        if change.to in ENDED:
            values = {"ended": of("now"), "holder": null()}
        elif change.to is not None:
            cleared = ("ended", "holder", "result", "result_codec")
            values = {name: null() for name in cleared} | {"releases": constant(False)}
        if change.to is not None:
            values["state"] = constant(change.to)
            if change.states is None or not change.states <= HELD or change.to not in ENDED:
                values["lane"] = self._lane(change.to, of)
        values |= {name: of(name) for name in self._fields - _TIMES - {_ATTEMPT}}
        if self.appends:
            values["tries"] = job.tries + constant(1)
        if self._timed:
            values["due"] = of("due")
        if change.settles:
            values |= {"settled": of("generation"), "settled_by": of("holder")}
        if change.renews:
            values["generation"] = job.generation + constant(1)
        return values

    def _lane(self, to: State, of: Names) -> ColumnElement[Any]:
        if to is not State.PENDING:
            return constant(Lane.NONE)
        if self._timed:
            return of("lane")
        due = self._schema.job.c.due
        return case((due <= of("now"), constant(Lane.READY)), else_=constant(Lane.FUTURE))


class Bulk:
    """One statement for `ROWS` changes."""

    least = most = ROWS

    def __init__(self, statement: Statement, names: Sequence[str]) -> None:
        self.text = statement.text
        self._pick = itemgetter(*names)
        self._arranged = statement.arranged([*(cell(name, row) for row in range(ROWS) for name in names), "now"])

    def values(self, rows: Sequence[Mapping[str, Any]], now: int) -> Row:
        """The values of the statement: those of each change, and the time."""
        return self._arranged([value for row in rows for value in self._pick(row)] + [now])

    def asked(self, rows: Sequence[Mapping[str, Any]], now: int) -> tuple[str, Row]:
        """The text for so many changes, and the values."""
        return self.text, self.values(rows, now)


class RepeatedBulk(Bulk):
    """One statement for any number of changes, up to some hundreds."""

    least, most = 1, 200

    def __init__(self, statement: Statement, names: Sequence[str], repeated: Callable[[str, int], str]) -> None:
        self.text = statement.text
        self._pick = itemgetter(*names)
        self._times = len(statement.names) - len(names)
        self._repeated = repeated

    def values(self, rows: Sequence[Mapping[str, Any]], now: int) -> Row:
        return (*(value for row in rows for value in self._pick(row)), *[now] * self._times)

    def asked(self, rows: Sequence[Mapping[str, Any]], now: int) -> tuple[str, Row]:
        return self._repeated(self.text, len(rows)), self.values(rows, now)


class ArrayBulk:
    """One statement for any number of changes, of as many jobs, each value an array. It tells which it made."""

    def __init__(self, statement: Statement, names: Sequence[str], listing: Callable[[Iterable[Any]], Any]) -> None:
        self.text = statement.text
        self._names = names
        self._listing = listing
        self._statement = statement

    def arrays(self, columns: Mapping[str, Iterable[Any]], now: int | None) -> Row:
        """The values of the statement: an array of each, and the time."""
        arrays = {name: self._listing(columns[name]) for name in self._names}
        return self._statement.values(arrays | {"now": now})


class Arranged(NamedTuple):
    """Changes as the values of one statement, in the order of ids."""

    values: Row
    order: Sequence[int]
    """Which change, as they were given, stands at each place."""

    def made(self, rows: Iterable[Row]) -> set[int]:
        """Which changes were made, by what the statement answers."""
        return {self.order[place - 1] for (place,) in rows}
