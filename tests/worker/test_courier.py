"""When jobs are claimed, how many at a time, and what happens when the store cannot take an outcome."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from longshore import Retry, Snooze, State
from longshore.contract import Change, Sleeper
from longshore.errors import Unavailable
from longshore.testing.faults.cut import Moment
from longshore.testing.together import together
from longshore.worker.bell import Bell
from longshore.worker.ear import Ear
from longshore.worker.outage import Outage
from longshore.worker.tally import Pace
from worker.conftest import Connect
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate, say, stop, wait_for

pytestmark = pytest.mark.timed

NEVER = 60.0
"""A poll time that no test lives to see."""


def test_a_hint_that_comes_during_a_claim_asks_for_another(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    held = app.line.hold("claim")
    with app.worker(poll=NEVER):
        wait_for(held.reached, "the first claim")
        app.line.await_calls("listener.wait", 1)
        app.enqueue(say(app, "hinted"))
        # The ear waits again: so the hint was given, while the empty answer is still on its way.
        app.line.await_calls("listener.wait", 2)
        held.released.set()
        assert gate.arrived() == "hinted"


@pytest.mark.every_engine
@pytest.mark.parametrize("moment", list(Moment))
def test_a_claim_that_broke_is_made_again_without_another_hint(app: FaultyApp, gate: Gate, moment: Moment) -> None:
    gate.serve(app)
    with app.worker(poll=NEVER):
        app.line.await_calls("listener.wait", 1)
        app.enqueue(say(app, "first")).wait(timeout=10)
        app.line.cut("claim", moment)
        app.line.cut("exchange", moment)
        job = app.enqueue(say(app, "second"))
        assert [gate.arrived(), gate.arrived()] == ["first", "second"]
        assert job.wait(timeout=10).attempt == 1


def test_a_delayed_job_starts_when_it_is_due(app: FaultyApp) -> None:
    @app.task
    def note() -> int:
        return app.store.now()

    late: list[int] = []
    with app.worker(poll=NEVER):
        app.line.await_calls("listener.wait", 1)
        for _ in range(10):
            job = note.options(delay=0.1).enqueue()
            late.append(job.result(timeout=10) - round(job.info().due.timestamp() * 1_000_000))
    assert min(late) >= 0
    # The best of ten: a busy machine may hold up some of them, but a worker that polls would be late each time.
    assert min(late) < 20_000, f"they began {late} microseconds after they were due"


class Noted(Bell):
    """Notes how long it would have been waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float) -> None:
        self.waits.append(timeout)


def test_an_outage_is_sat_out_longer_from_time_to_time_but_not_beyond_the_end_of_the_lease() -> None:
    valid, bell = 0.5, Noted()
    outage = Outage(bell, lambda: valid)
    for _ in range(10):
        outage.sit_out(Unavailable("away"))
    assert bell.waits[0] < bell.waits[1] < max(bell.waits) == valid
    valid = 0.0
    outage.sit_out(Unavailable("away"))
    assert bell.waits[-1] > 1.0, "once the lease is over nothing is to be done in time"


def share_out(apps: list[FaultyApp], seconds: float, quick: int = 0, **settings: float) -> list[list[float]]:
    """Lets one slot in each application run 100 slow jobs, after some quick ones; gives when each slot ended each."""
    ended: list[list[float]] = [[] for _ in apps]
    all_done = threading.Event()
    for number, app in enumerate(apps):

        @app.task(name="slow")
        def slow(number: int = number) -> None:
            threading.Event().wait(seconds)
            ended[number].append(time.monotonic())
            if sum(map(len, ended)) == 100:
                all_done.set()

        @app.task(name="quick", priority=1)
        def quick_one() -> None:
            pass

    apps[0].enqueue_many([apps[0].task_named("quick").call()] * quick + [apps[0].task_named("slow").call()] * 100)
    with ExitStack() as stack:
        for app in apps:
            stack.enter_context(app.worker(slots=1, poll=NEVER, **settings))
        assert all_done.wait(500 * seconds), f"100 jobs were not done; {[len(times) for times in ended]} were"
    return ended


def test_slow_jobs_are_never_taken_ahead(connect: Connect) -> None:
    """The design's example at a tenth of its length: jobs of 20 ms, looking ahead 10 ms."""
    apps = [connect(), connect()]
    first, second = share_out(apps, 0.02, prefetch=0.01)
    assert [max(app.line.sizes) for app in apps] == [1, 1], "more was taken than could begin"
    apart = abs(first[-1] - second[-1])
    assert apart < 0.06, f"one worker ended {apart * 1000:.0f} ms before the other"


@pytest.mark.slow
def test_two_workers_end_a_hundred_slow_jobs_within_one_job_of_each_other(shared_target: str) -> None:
    """The design's example itself, after quick jobs: what they taught of the pace makes nobody greedy for slow ones."""
    with FaultyApp(shared_target) as one, FaultyApp(shared_target) as other:
        apps = [one, other]
        first, second = share_out(apps, 0.2, quick=1_000)
    assert max(size for app in apps for size in app.line.sizes) >= 200, "the quick jobs were taken by the hundred"
    assert {len(first), len(second)} <= set(range(45, 56)), "both worked all the time"
    apart = abs(first[-1] - second[-1])
    assert apart <= 0.2 + 0.15, (
        f"one worker ended {apart * 1000:.0f} ms before the other: more than a job, and a busy machine"
    )


def test_quick_jobs_are_taken_by_the_hundred(app: FaultyApp) -> None:
    @app.task
    def nothing(number: int) -> None:
        pass

    app.enqueue_many([nothing.call(number) for number in range(3_000)])
    assert app.worker(slots=4).run(until_empty=True).succeeded == 3_000
    sizes = app.line.sizes
    assert sizes[0] == 4, "nothing is known before the first has run"
    assert max(sizes[:4]) >= 200, f"the first claims took {sizes[:4]} jobs"


def test_what_was_taken_and_does_not_begin_is_given_to_others(connect: Connect, gate: Gate) -> None:
    busy, idle = connect(), connect()
    for app in (busy, idle):
        gate.serve(app)
    quick = say(busy, "quick")
    busy.enqueue_many([quick] * 500)
    with busy.worker(slots=1, poll=NEVER, drain=0) as first:
        busy.enqueue(quick).wait(timeout=10)
        assert len(gate.said()) == 501
        slow = busy.task_named("stop").options(priority=1).call(word="slow")
        jobs = busy.enqueue_many([slow, *[quick] * 5])
        assert gate.arrived() == "slow"
        assert 6 in busy.line.sizes[-2:], f"quick jobs are taken ahead; the last claims took {busy.line.sizes[-5:]}"
        busy.line.sizes.clear()
        with idle.worker(slots=1, poll=NEVER) as second:
            for job in jobs[1:]:
                info = job.wait(timeout=10)
                assert (info.state, info.attempt, info.tries) == (State.SUCCEEDED, 1, 0)
        assert second.tally.succeeded == 5
        assert not any(busy.line.sizes), "what was handed back was taken ahead again"
    assert (first.tally.again, jobs[0].info().shown_as) == (6, "pending")


def test_a_stalled_pace_expects_nothing_until_a_run_has_ended() -> None:
    pace = Pace()
    assert pace.expected(0.1, slots=10) == 0
    pace.took("work", 0.001)
    assert pace.expected(0.1, slots=10) == 1_000
    pace.stalled()
    assert pace.expected(0.1, slots=10) == 0
    pace.took("work", 0.001)
    assert pace.expected(0.1, slots=10) == 1_000


@pytest.mark.parametrize("lost", ["", "exchange", "update"])
def test_an_outcome_that_the_store_can_never_take_fails_its_own_run_alone(app: FaultyApp, lost: str) -> None:
    @app.task
    def work(number: int) -> int:
        return number

    def does_not_fit(change: Change) -> bool:
        return change.id in ("bad 3", "bad 7") and change.to is State.SUCCEEDED

    app.line.cannot_take = does_not_fit
    jobs = [work.options(id=f"{'bad' if number in (3, 7) else 'good'} {number}").enqueue(number) for number in range(9)]
    if lost:
        app.line.cut(lost, Moment.AFTER)
    app.worker(slots=2).run(until_empty=True)
    for number, job in enumerate(jobs):
        info = job.info()
        if number in (3, 7):
            assert (info.state, info.attempt) == (State.FAILED, 1)
            assert "OverflowError: a value does not fit" in (info.error or "")
        else:
            assert job.result() == number


def test_a_snooze_beyond_all_numbers_does_not_stop_the_worker(app: FaultyApp) -> None:
    @app.task(retry=Retry(max_attempts=1))
    def sleep_for_ages() -> None:
        raise Snooze(1e300)

    @app.task
    def work() -> int:
        return 1

    ages, done = sleep_for_ages.enqueue(), work.enqueue()
    app.worker(slots=1).run(until_empty=True)
    assert done.result(timeout=5) == 1
    stored = app.store.select(limit=10).jobs
    assert {job.id: job.state for job in stored}[ages.id] in (State.FAILED, State.PENDING)


def test_a_wake_up_that_fails_stops_nobody(app: FaultyApp, gate: Gate) -> None:
    """An awaited end that was settled and not announced is found by who waits, within a second or so."""
    gate.serve(app)
    with app.worker(poll=NEVER):
        job = app.enqueue(stop(app, "s"))
        gate.arrived()

        def wait() -> float:
            job.wait(timeout=10)
            return time.monotonic()

        def end() -> float:
            while not app.store.select(limit=1).jobs[0].awaited:
                threading.Event().wait(0.01)
            app.line.cut("wake", Moment.BEFORE)
            gate.open()
            app.line.await_cuts()
            return time.monotonic()

        told, settled = together(wait, end)
        assert told - settled < 2
        app.enqueue(say(app, "still here"))
        assert gate.arrived() == "still here"


@contextmanager
def bombarded(handler: object) -> Iterator[None]:
    """Lets a signal handler run in the main thread again and again."""
    ended = threading.Event()
    main = threading.main_thread().ident
    assert main is not None

    def bombard() -> None:
        while not ended.wait(0.0001):
            signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)  # type: ignore[arg-type]
    thread = threading.Thread(target=bombard)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)


def test_a_bell_may_be_rung_from_a_signal_handler() -> None:
    bell = Bell()
    rings = 0

    def ring(*_: object) -> None:
        nonlocal rings
        rings += 1
        bell.ring()

    with bombarded(ring):
        ends = time.monotonic() + 0.5
        while time.monotonic() < ends:
            bell.silence()
            bell.ring()
            bell.wait(1.0)
    assert rings > 10


def test_a_bell_remembers_and_forgets() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    began = time.monotonic()
    bell.wait(10)
    assert time.monotonic() - began < 5
    bell.wait(0.01)
    assert time.monotonic() - began > 0.01
    bell.ring()
    bell.silence()
    began = time.monotonic()
    bell.wait(0.02)
    assert time.monotonic() - began >= 0.02


def test_an_ear_tells_in_the_thread_that_hears() -> None:
    listener, told = Sleeper(), SimpleQueue[threading.Thread]()
    store = SimpleNamespace(listen=lambda topics: listener)
    ear = Ear("test", store, ["queue:default"], lambda: told.put(threading.current_thread()))  # type: ignore[arg-type]
    ear.start()
    try:
        assert told.get(timeout=PATIENCE) is ear, "who begins to listen may have missed something"
        listener.ring()
        assert told.get(timeout=PATIENCE) is threading.current_thread()
    finally:
        ear.stop()
        ear.join(PATIENCE)
    assert not ear.is_alive()
