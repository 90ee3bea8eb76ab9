"""What follows from an end follows in the same flush, costs few calls, and those nothing who have no use for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from longshore import Job, Longshore, State
from longshore.following.sweep import sweep
from longshore.guard import Guard
from longshore.testing.faults.cut import Moment
from longshore.worker.upkeep import MEND_SECONDS
from worker.faulty import FaultyApp, Line, LineDriver
from worker.gate import PATIENCE, wait_for

pytestmark = pytest.mark.every_engine


class Lines(Longshore):
    """An application whose workers' connections have a line each: first the courier's, then the heartbeat's."""

    def __init__(self, target: Any, **options: Any) -> None:
        super().__init__(target, **options)
        self.lines: list[Line] = []

    def another_store(self) -> Guard:
        straight = super().another_store()
        self.lines.append(Line())
        return Guard(LineDriver(straight.driver, self.lines[-1]), patience=0.0, max_payload=straight.max_payload)

    def drain(self) -> Counter[str]:
        """Runs all that is due, and gives what the courier asked of the store."""
        self.lines.clear()
        self.worker(slots=1, poll=60.0).run(until_empty=True)
        return self.lines[0].calls


@pytest.fixture
def lines(target: Any) -> Iterator[Lines]:
    with Lines(target) as app:

        @app.task
        def load(number: int) -> int:
            return number

        yield app


def test_jobs_without_bonds_cost_no_call_more(lines: Lines) -> None:
    load = lines.tasks["load"]
    lines.enqueue_many([load.call(number) for number in range(30)])
    calls = lines.drain()
    assert {method for method in calls if method not in ("claim", "exchange", "update", "wake", "listener.wait")} <= {
        "select",  # What it holds, compared at the first heartbeat.
        "listen",
        "write",  # The lease.
        "read",  # What it is told, once.
        "close",
    }
    assert calls["select"] <= 2
    assert calls["claim"] + calls["exchange"] + calls["update"] <= 33, "a trip for each, since there is one slot"


@pytest.mark.timed
def test_a_chain_costs_a_look_and_a_release_for_each_link_and_no_wait(lines: Lines) -> None:
    load, links = lines.tasks["load"], 10
    jobs = lines.chain(*[load.call(number) for number in range(links)])
    calls = lines.drain()
    assert [job.info().state for job in jobs] == [State.SUCCEEDED] * links
    assert calls["select"] <= links - 1 + 2, "the children; their parent has just ended, so it is not asked for"
    releases = links - 1
    trips = calls["claim"] + calls["exchange"] + calls["update"]
    # A link is claimed, settled, and claims once more when the release wakes those who listen, itself among them.
    assert trips - releases <= 3 * links + 2, f"{calls}: nothing is asked twice"


@pytest.mark.timed
def test_a_line_of_a_key_costs_the_same(lines: Lines) -> None:
    load, many = lines.tasks["load"], 10
    lines.enqueue_many([load.options(key="k").call(number) for number in range(many)])
    calls = lines.drain()
    assert calls["select"] <= 2 * (many - 1) + 2, "children, and the head of the line; not who holds the turn"


@pytest.fixture
def faulty(target: Any) -> Iterator[FaultyApp]:
    with FaultyApp(target) as app:
        yield app


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("method", ["select", "update"])
def test_when_the_store_fails_at_a_step_the_same_worker_does_it_again(
    faulty: FaultyApp, method: str, moment: Moment
) -> None:
    @faulty.task
    def load() -> None: ...

    with faulty.worker(poll=60.0):
        parent = load.options(delay=0.3).enqueue()
        child = load.options(after=parent).enqueue()
        # The courier looks at what it holds at the first heartbeat: by now that is done.
        faulty.line.await_calls("listener.wait", 1)
        faulty.line.cut(method, moment)
        assert child.wait(timeout=PATIENCE).state is State.SUCCEEDED


def test_when_a_worker_dies_right_after_the_end_another_releases_the_child(target: Any) -> None:
    with FaultyApp(target) as dying, Longshore(dying.store.driver.target) as living:
        names = [register(app) for app in (dying, living)]
        parent = dying.call_by_name("load", options=type(names[0].call().options)(queue="of the dying"))
        job = dying.enqueue(parent)
        child: Job[None] = names[0].options(after=job).enqueue()
        worker = dying.worker(queues=["of the dying"], poll=60.0, drain=0.0, grace=0.0)
        released = dying.line.hold("exchange")
        worker.start()
        assert job.wait(timeout=PATIENCE).state is State.SUCCEEDED
        dying.line.go_down()  # Its last word was the end.
        released.released.set()
        with living.worker(poll=60.0):
            info = child.wait(timeout=MEND_SECONDS + PATIENCE)
        ended = job.info().ended
        assert info.started is not None
        assert ended is not None
        assert (info.started - ended).total_seconds() < 5 + 3, "five seconds, and what a busy machine takes"
        dying.line.mend()
        worker.stop()


def register(app: Longshore) -> Any:
    @app.task
    def load() -> None: ...

    return load


def test_who_works_until_nothing_is_due_runs_what_upkeep_released_meanwhile(faulty: FaultyApp) -> None:
    """Between the end of a parent and the look for its children, by another thread or process."""

    @faulty.task
    def load() -> None: ...

    parent = load.enqueue()
    child = load.options(after=parent).enqueue()
    held = faulty.line.hold("exchange")
    with ThreadPoolExecutor() as pool:
        working = pool.submit(faulty.worker(poll=60.0).run, until_empty=True)
        wait_for(held.reached, "the parent to have ended")
        sweep(faulty.store)
        assert child.info().state is State.PENDING
        held.released.set()
        assert working.result(PATIENCE).succeeded == 2
