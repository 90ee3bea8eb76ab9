"""Ended jobs are removed in time, but for those that others still need."""

from __future__ import annotations

import pytest

from longshore import Longshore, Throttle
from longshore.contract import Change, NewJob, State, Where
from longshore.testing.clock import ManualClock
from longshore.worker.retention import Retention, needed_parents
from longshore.worker.settings import WorkerSettings

SETTINGS = WorkerSettings(keep_succeeded=100.0, keep_ended=1_000.0)


def new(name: str, **fields: object) -> NewJob:
    return NewJob(name, "default", "load", b"{}", **fields)  # type: ignore[arg-type]


def ids(app: Longshore) -> list[str]:
    return sorted(job.id for job in app.store.each(body=False))


def end(app: Longshore, *names: str, state: State = State.SUCCEEDED) -> None:
    app.store.update([Change(name, state) for name in names])


def test_each_kind_of_end_is_kept_for_its_time(timed: Longshore, clock: ManualClock) -> None:
    timed.store.insert([new("succeeded"), new("failed"), new("pending")])
    end(timed, "succeeded")
    end(timed, "failed", state=State.FAILED)
    retention = Retention(SETTINGS)
    clock.advance(99)
    assert retention.remove(timed.store) == 0
    clock.advance(1)
    assert retention.remove(timed.store) == 1
    clock.advance(900)
    assert retention.remove(timed.store) == 1
    assert ids(timed) == ["pending"]


def test_parents_of_jobs_that_have_not_ended_are_kept(timed: Longshore, clock: ManualClock) -> None:
    timed.store.insert([new(name) for name in ("needed", "done with", "failed")])
    waits = {"needed": "waiting", "failed": "waits for a retry"}
    timed.store.insert([new(child, parents=(parent, "gone"), waiting=True) for parent, child in waits.items()])
    timed.store.insert([new("ended child", parents=("done with",))])
    end(timed, "needed", "done with", "ended child")
    end(timed, "failed", state=State.FAILED)
    clock.advance(1_000)
    retention = Retention(SETTINGS)
    assert retention.remove(timed.store) == 2
    assert ids(timed) == ["failed", "needed", "waiting", "waits for a retry"]
    end(timed, *waits.values(), state=State.CANCELLED)
    assert retention.remove(timed.store) == 2


def test_the_holder_of_a_period_that_still_runs_is_kept(timed: Longshore, clock: ManualClock) -> None:
    @timed.task
    def load() -> None: ...

    job = load.options(unique=Throttle(500)).enqueue()
    end(timed, job.id)
    retention = Retention(SETTINGS)
    clock.advance(499)
    assert retention.remove(timed.store) == 0
    clock.advance(1)
    assert retention.remove(timed.store) == 1


@pytest.mark.parametrize("kept", [600])
def test_jobs_that_are_kept_hold_up_nobody_behind_them(timed: Longshore, clock: ManualClock, kept: int) -> None:
    """The oldest are all parents of one child that waits: more than a batch."""
    parents = tuple(f"kept {number:04}" for number in range(kept))
    timed.store.insert([new(name) for name in parents])
    timed.store.insert([new("child", parents=(*parents, "open"), waiting=True), new("open")])
    timed.store.insert([new("late 1"), new("late 2")])
    end(timed, *parents, "late 1", "late 2")
    clock.advance(1_000)
    assert Retention(SETTINGS).remove(timed.store) == 2
    assert len(ids(timed)) == kept + 2


def test_a_round_that_ran_out_of_time_is_gone_on_with(
    timed: Longshore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed.store.insert([new(f"{number:04}") for number in range(1_200)])
    end(timed, *(f"{number:04}" for number in range(1_200)))
    clock.advance(1_000)
    monkeypatch.setattr("longshore.worker.retention._SECONDS", 0.0)
    retention = Retention(SETTINGS)
    assert [retention.remove(timed.store) for _ in range(3)] == [500, 500, 200]


def test_who_has_very_many_children_is_found_by_one_page_of_them(timed: Longshore) -> None:
    timed.store.insert([new("parent"), new("other"), new("third")])
    timed.store.insert([new(f"{number:04}", parents=("parent",)) for number in range(1_300)])
    timed.store.insert([new("last", parents=("other",))])
    calls = 0
    select = timed.store.select

    def counted(where: Where, **rest: object) -> object:
        nonlocal calls
        calls += 1
        return select(where, **rest)  # type: ignore[arg-type]

    timed.store.select = counted  # type: ignore[method-assign,assignment]
    assert needed_parents(timed.store, ["parent", "other", "third"]) == {"parent", "other"}
    assert calls == 2
