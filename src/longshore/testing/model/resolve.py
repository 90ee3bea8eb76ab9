"""From drafts to what a driver is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from longshore.contract import ENDED, HELD, Change, Instant, NewJob, State, StoredJob
from longshore.testing.model.drafts import IDS, ChangeDraft

Run = tuple[int, str]

JOB_INSTANTS = ("created", "due", "started", "ended", "expires", "unique_until")
FIELD_INSTANTS = ("due", "expires", "unique_until")


def placed(job: NewJob | StoredJob, now: Instant) -> NewJob | StoredJob:
    """The job with instants in place of offsets."""
    names = JOB_INSTANTS if isinstance(job, StoredJob) else ("due", "expires")
    found = {name: offset + now for name in names if (offset := getattr(job, name)) is not None}
    return replace(job, **found)


def meant(draft: ChangeDraft, jobs: Mapping[str, StoredJob]) -> str:
    """The id of a job that is stored, and held where a run speaks: else most changes would be of nobody."""
    held = [job.id for job in jobs.values() if job.state in HELD]
    known = sorted(held if held and draft.whose == "run" else jobs)
    if draft.id in known or draft.id == IDS[-1] or not known:
        return draft.id
    return known[IDS.index(draft.id) % len(known)]


def resolved(draft: ChangeDraft, job: StoredJob | None, runs: list[Run], now: Instant) -> Change:
    """The change of a job that stands as ``job``, and had these runs, first to last."""
    guards: dict[str, Any] = {}
    if draft.whose != "anybody":
        generation, holder = run_named(draft.whose, job, runs)
        guards = {"generation": generation, "holder": holder}
    return Change(
        draft.id,
        draft.to,
        fields=sensible(draft, job, now),
        states=draft.states,
        cancel_asked=draft.cancel_asked,
        settles=draft.settles,
        renews=draft.renews,
        **guards,
    )


def run_named(whose: str, job: StoredJob | None, runs: list[Run]) -> Run:
    """The run that a draft names: the one that holds the job, else the last; an old one; or nobody's."""
    if whose == "stranger":
        return (job.generation if job else 1), "carl"
    if whose == "old run" and runs:
        return runs[0]
    if job is not None and job.holder is not None:
        return job.generation, job.holder
    return runs[-1] if runs else (1, "anna")


def sensible(draft: ChangeDraft, job: StoredJob | None, now: Instant) -> Any:
    """The fields with instants in place of offsets, without what nobody asks for: a slot without a key."""
    values: dict[str, Any] = dict(draft.fields)
    for name in FIELD_INSTANTS:
        if values.get(name) is not None:
            values[name] += now
    if "delay" in values:
        values.pop("due", None)
    key = values.get("unique_key", job.unique_key if job else None)
    if key is None and ("unique_key" in values or values.get("unique_held")):
        values["unique_held"] = False
    if "turn" in values and (job is None or job.key is None or job.state in ENDED):
        del values["turn"]
    return values


def may_say_either(change: Change, jobs: Mapping[str, StoredJob]) -> bool:
    """Whether it repeats an end for which somebody waits only since: an answer may look again whom it releases."""
    job = jobs.get(change.id)
    if job is None or change.to not in ENDED or job.state not in ENDED or job.releases:
        return False
    waiting = (one for one in jobs.values() if one.state is State.WAITING)
    return any(job.id in one.parents or (job.key is not None and one.key == job.key) for one in waiting)
