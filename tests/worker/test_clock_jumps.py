"""The store's clock jumps by an hour, forward or back: nothing is lost, nothing runs twice, who lives is left alone."""

from __future__ import annotations

import pytest

from longshore import Every, Longshore, Retry, RetryIn, State
from longshore.contract import SECOND, By, Claim, Write
from longshore.holders import KIND, rescue
from longshore.testing.clock import ManualClock
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate, stop

pytestmark = pytest.mark.timed

HOUR = 3_600.0


@pytest.fixture
def ran(timed: Longshore) -> list[str]:
    """What ran, in order."""
    ran: list[str] = []

    @timed.task
    def note(word: str) -> None:
        ran.append(word)

    return ran


def note(app: Longshore, word: str, delay: float = 0.0) -> None:
    app.tasks["note"].options(id=word, delay=delay).enqueue(word)


def work(app: Longshore) -> None:
    app.worker(slots=1).run(until_empty=True)


def test_after_a_jump_forward_what_is_due_by_the_new_time_runs_once(
    timed: Longshore, clock: ManualClock, ran: list[str]
) -> None:
    note(timed, "now")
    note(timed, "in half an hour", HOUR / 2)
    note(timed, "in two hours", 2 * HOUR)
    clock.advance(HOUR)
    note(timed, "after the jump")
    work(timed)
    assert sorted(ran) == ["after the jump", "in half an hour", "now"]
    assert timed.counts()[State.PENDING] == 1
    clock.advance(HOUR)
    work(timed)
    assert sorted(ran) == ["after the jump", "in half an hour", "in two hours", "now"]


def test_after_a_jump_back_new_jobs_run_at_once_and_the_others_when_their_time_comes_again(
    timed: Longshore, clock: ManualClock, ran: list[str]
) -> None:
    note(timed, "before")
    note(timed, "in half an hour", HOUR / 2)
    clock.advance(-HOUR)
    note(timed, "after the jump")
    work(timed)
    assert "after the jump" in ran
    assert "in half an hour" not in ran
    clock.advance(HOUR)
    work(timed)
    assert sorted(ran) == ["after the jump", "before"]
    clock.advance(HOUR / 2)
    work(timed)
    assert sorted(ran) == ["after the jump", "before", "in half an hour"]
    assert timed.counts()[State.SUCCEEDED] == 3


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_run_that_is_on_while_the_clock_jumps_counts_once(
    timed: FaultyApp, clock: ManualClock, gate: Gate, jump: float
) -> None:
    gate.serve(timed)
    job = timed.enqueue(stop(timed, "a"))
    with timed.worker(slots=1, lease=3, heartbeat=0.05) as worker:
        gate.arrived()
        holder = worker.holder
        clock.advance(jump)
        timed.line.await_calls("now", timed.line.calls["now"] + 5)
        assert timed.store.count(By.HOLDER) == {(holder,): 1}
        gate.open()
        assert job.result(timeout=PATIENCE) == "a"
        assert worker.holder == holder
    info = job.info()
    assert (info.attempt, info.crashes, info.tries) == (1, 0, 0)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_retry_waits_by_the_new_time_and_uses_no_other_attempt(
    timed: Longshore, clock: ManualClock, jump: float
) -> None:
    @timed.task(retry=Retry(max_attempts=2))
    def fail_at_first() -> int:
        attempt = timed.job("job").info().attempt
        if attempt == 1:
            raise RetryIn(60)
        return attempt

    job = fail_at_first.options(id="job").enqueue()
    work(timed)
    assert job.info().shown_as == "retrying"
    clock.advance(jump)
    work(timed)
    assert job.info().state is (State.SUCCEEDED if jump > 0 else State.PENDING)
    clock.advance(HOUR + 60)
    work(timed)
    assert job.result() == 2


def test_who_died_before_a_jump_back_is_rescued_when_its_lease_is_over_by_the_new_time(
    timed: Longshore, clock: ManualClock, ran: list[str]
) -> None:
    note(timed, "held")
    timed.store.write([Write(KIND, "dead", b"{}", 0, 60 * SECOND)])
    timed.store.claim([Claim(queues=("default",))], holder="dead", limit=1)
    clock.advance(-HOUR)
    assert rescue(timed.store, "dead", by="me", lease=SECOND) is None
    clock.advance(HOUR + 60)
    freed = rescue(timed.store, "dead", by="me", lease=SECOND)
    assert freed is not None
    assert freed.pending == 1
    work(timed)
    assert ran == ["held"]


def test_a_schedule_makes_each_tick_once_whatever_the_clock_does(
    timed: Longshore, clock: ManualClock, ran: list[str]
) -> None:
    timed.admin.schedules.put("tick", Every(600), timed.tasks["note"].call("tick"))

    def ticked_after(seconds: float) -> int:
        clock.advance(seconds)
        timed.admin.schedules.tick()
        return sum(timed.counts().values())

    assert ticked_after(600) == 1
    assert ticked_after(HOUR) == 2, "one for all that were missed"
    assert ticked_after(-HOUR) == 2
    assert ticked_after(600) == 2, "the hour that comes twice has had its ticks"
    assert ticked_after(HOUR - 600) == 2
    assert ticked_after(600) == 3
    work(timed)
    assert ran == ["tick"] * 3
