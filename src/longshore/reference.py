"""What the contract's words mean, as pure functions of values: the memory driver is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from longshore.values import (
    ATTEMPTS_KEPT,
    ENDED,
    HELD,
    Change,
    Instant,
    NewJob,
    State,
    StoredJob,
    UniqueScope,
    Where,
)


def born(new: NewJob, now: Instant, position: int) -> StoredJob:
    """The job that an insert stores as its element number ``position``, before its slot and turn are decided."""
    due = new.due if new.due is not None else now + new.delay
    expires = new.expires
    if expires is None and new.expires_in is not None:
        expires = now + new.expires_in
    period = new.unique_scope is UniqueScope.PERIOD and new.unique_key is not None
    return StoredJob(
        new.id,
        new.queue,
        new.task,
        State.WAITING if new.waiting else State.PENDING,
        new.priority,
        now + position,
        due,
        new.codec,
        new.payload,
        new.digest,
        max_attempts=new.max_attempts,
        max_crashes=new.max_crashes,
        expires=expires,
        awaited=new.awaited,
        unique_key=new.unique_key,
        unique_held=new.unique_key is not None,
        unique_scope=new.unique_scope,
        unique_until=now + (new.unique_for or 0) if period else None,
        group=new.group,
        key=new.key,
        turns=new.turns,
        parents=new.parents,
        lax=new.lax,
        if_parent_fails=new.if_parent_fails,
        notes=merged({}, new.notes),
    )


def is_run(job: StoredJob, change: Change) -> bool:
    """Whether the change is guarded by the very run that holds the job."""
    return change.holder is not None and (job.generation, job.holder) == (change.generation, change.holder)


def guards_hold(job: StoredJob, change: Change) -> bool:
    """Whether every guard that is given holds."""
    return (
        (change.states is None or job.state in change.states)
        and (change.generation is None or job.generation == change.generation)
        and (change.holder is None or job.holder == change.holder)
        and (change.cancel_asked is None or job.cancel_asked == change.cancel_asked)
    )


def was_made(job: StoredJob, change: Change) -> bool:
    """Whether this very run made its change before, though the guards fail now."""
    if change.settles:
        return job.settled is not None and (job.settled, job.settled_by) == (change.generation, change.holder)
    return change.to is not None and job.state is change.to and is_run(job, change)


def merged(notes: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Notes after a merge: each top-level key replaces, a value None removes."""
    return {key: value for key, value in {**notes, **more}.items() if value is not None}


def changed(job: StoredJob, change: Change, now: Instant) -> StoredJob:
    """The job after a change whose guards hold and whose slots are free."""
    return replace(job, **effects(job, change, now))


def effects(job: StoredJob, change: Change, now: Instant) -> dict[str, Any]:
    """What such a change sets, by the names of fields; the others stay as they are."""
    values: dict[str, Any] = dict(change.fields)
    if "delay" in values:
        values["due"] = now + values.pop("delay")
    if "notes" in values:
        values["notes"] = merged(job.notes, values["notes"])
    if "attempt_record" in values:
        values["attempts"] = (*job.attempts, values.pop("attempt_record"))[-ATTEMPTS_KEPT:]
        values["tries"] = job.tries + 1
    if change.settles:
        values |= {"settled": change.generation, "settled_by": change.holder}
    if change.renews:
        values["generation"] = job.generation + 1
    if change.to is not None:
        values = {**_moved(job, change.to, now), **values, "state": change.to}
    if values.get("unique_key", job.unique_key) is None:
        values["unique_held"] = False
    return values


def _moved(job: StoredJob, to: State, now: Instant) -> dict[str, Any]:
    if to in ENDED:
        freed = {} if job.unique_until is not None and job.unique_until > now else {"unique_held": False}
        return {"ended": now, "holder": None, "turn": None, **freed}
    if to is State.RUNNING:
        freed = {"unique_held": False} if job.unique_scope is UniqueScope.START else {}
        return {"started": now, **freed}
    if to is State.RESERVED:
        return {"started": now}
    return {"ended": None, "holder": None, "result": None, "result_codec": None, "releases": False}


def taken(job: StoredJob, holder: str, now: Instant, *, reserve: bool) -> StoredJob:
    """The job after a claim."""
    to = State.RESERVED if reserve else State.RUNNING
    attempt = job.attempt if reserve else job.attempt + 1
    values = _moved(job, to, now) | {"state": to, "holder": holder, "attempt": attempt}
    return replace(job, generation=job.generation + 1, **values)


def is_deletable(job: StoredJob, now: Instant) -> bool:
    """Whether `delete` may take it: nobody has it, and no unique period of its own still runs."""
    guards = job.unique_held and job.unique_until is not None and job.unique_until > now
    return job.state not in HELD and not guards


def takes_slot(change: Change) -> bool:
    """Whether the change takes a unique slot or a turn, and so comes after those that may free it."""
    return not change.fields.keys().isdisjoint(("turn", "unique_held", "unique_key"))


def _is_same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


_TESTS: dict[str, Callable[[StoredJob, Any, Instant], bool]] = {
    "ids": lambda job, ids, now: job.id in ids,
    "queues": lambda job, queues, now: job.queue in queues,
    "tasks": lambda job, tasks, now: job.task in tasks,
    "states": lambda job, states, now: job.state in states,
    "holder": lambda job, holder, now: job.holder == holder,
    "groups": lambda job, groups, now: job.group in groups,
    "parents": lambda job, parents, now: any(parent in parents for parent in job.parents),
    "keys": lambda job, keys, now: job.key in keys,
    "unique_key": lambda job, key, now: job.unique_key == key,
    "notes": lambda job, notes, now: all(_is_same(job.notes.get(key), notes[key]) for key in notes),
    "releases": lambda job, releases, now: job.releases is releases,
    "due": lambda job, ago, now: job.due <= now - ago,
    "expired": lambda job, ago, now: job.expires is not None and job.expires <= now - ago,
    "ended": lambda job, ago, now: job.ended is not None and job.ended <= now - ago,
    "changed": lambda job, ago, now: job.state in HELD or max(job.created, job.ended or 0) >= now - ago,
}


def matches(job: StoredJob, where: Where, now: Instant) -> bool:
    """Whether the job is one of those that ``where`` asks for."""
    return all(test(job, asked, now) for name, test in _TESTS.items() if (asked := getattr(where, name)) is not None)
