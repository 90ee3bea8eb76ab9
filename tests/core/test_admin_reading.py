"""What operators see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.admin_stores import add, app, claim, fail, state
from core.working import work
from longshore import Longshore, State
from longshore.contract import NewJob
from longshore.errors import InvalidValue
from longshore.holders import Doing, Lease, rescue
from longshore.testing.clock import ManualClock

__all__ = ["app"]
DAY = 86_400


def ids(app: Longshore, **filters: object) -> list[str]:
    return [job.id for job in app.admin.jobs(**filters).jobs]  # type: ignore[arg-type]


class TestJobs:
    def test_all_that_is_given_must_hold(self, app: Longshore, clock: ManualClock) -> None:
        add(app, "a", notes={"customer": 7})
        add(app, "b", queue="mail", notes={"customer": 8})
        fail(app, "c")
        claim(app, "a")
        clock.advance(100)
        add(app, "d", queue="mail")
        assert ids(app) == ["d", "c", "b", "a"]
        assert ids(app, oldest_first=True) == ["a", "b", "c", "d"]
        assert ids(app, queues="mail") == ["d", "b"]
        assert ids(app, queues=["mail", "default"], tasks="add") == ["d", "b", "a"]
        assert ids(app, states=State.RUNNING) == ["a"]
        assert ids(app, states=[State.RUNNING, State.PENDING], tasks="discard") == ["c"]
        assert ids(app, notes={"customer": 8}) == ["b"]
        assert ids(app, ids=["a", "nobody"]) == ["a"]
        assert ids(app, since=50) == ["d", "a"]
        assert ids(app, since=datetime.fromtimestamp(clock() / 1e6, UTC) - timedelta(seconds=200)) == [
            "d",
            "c",
            "b",
            "a",
        ]
        assert [job.id for job in app.admin.every(queues="mail")] == ["d", "b"]

    def test_page_by_page_while_jobs_come_and_go(self, app: Longshore, clock: ManualClock) -> None:
        app.enqueue_many([app.tasks["add"].call(number) for number in range(7)])
        expected = ids(app)
        seen: list[str] = []
        after = None
        while True:
            page = app.admin.jobs(limit=2, after=after)
            seen += [job.id for job in page.jobs]
            after = page.after
            if after is None:
                break
            clock.advance(1)
            add(app, f"new-{len(seen)}")
            app.admin.remove(seen[-1])
        assert seen == expected

    @pytest.mark.parametrize("limit", [0, -1, 1_001])
    def test_a_page_has_a_size(self, app: Longshore, limit: int) -> None:
        with pytest.raises(InvalidValue, match="limit"):
            app.admin.jobs(limit=limit)

    def test_one_job_with_its_attempts(self, app: Longshore) -> None:
        fail(app, "job", task="fail", word="why")
        work(app)
        job = app.admin.job("job")
        assert job is not None
        assert (job.shown_as, job.error, job.attempt) == ("retrying", "ValueError: why", 1)
        assert job.created.tzinfo is UTC
        assert app.admin.job("nobody") is None

    def test_the_call_that_it_makes(self, app: Longshore) -> None:
        add(app, "job")
        app.store.insert([NewJob("strange", "default", "unheard_of", b'{"token":"hush"}')])
        assert app.admin.call("job") == "add(first=1)"
        assert "hush" not in str(app.admin.call("strange"))
        assert app.admin.call("nobody") is None


class TestLists:
    def test_failures_newest_first_with_the_last_error(self, app: Longshore, clock: ManualClock) -> None:
        for number in range(3):
            fail(app, f"job-{number}", word=f"word {number}")
        add(app, "good")
        work(app)
        clock.advance(1)
        add(app, "given up")
        app.admin.purge()
        page = app.admin.failures(limit=2)
        rest = app.admin.failures(after=page.after)
        failures = [*page.failures, *rest.failures]
        assert [(failure.id, failure.error) for failure in failures] == [
            ("given up", "given up by a person"),
            ("job-2", "Discard: word 2"),
            ("job-1", "Discard: word 1"),
            ("job-0", "Discard: word 0"),
        ]
        assert failures[1].traceback is not None
        assert "word 2" in failures[1].traceback
        assert app.admin.failures(tasks="add").failures == (failures[0],)

    def test_changes_since(self, app: Longshore, clock: ManualClock) -> None:
        add(app, "old")
        add(app, "held")
        add(app, "ends")
        claim(app, "held")
        clock.advance(3_600)
        app.admin.cancel("ends")
        add(app, "new")
        assert [job.id for job in app.admin.changes().jobs] == ["new", "held", "ends"]
        assert len(app.admin.changes(since=2 * 3_600).jobs) == 4
        assert [job.id for job in app.admin.changes(limit=1).jobs] == ["new"]

    def test_stuck_are_those_due_for_two_days_but_not_those_that_wait_for_others(
        self, app: Longshore, clock: ManualClock
    ) -> None:
        app.store.insert([NewJob("child", "default", "add", b"{}", waiting=True)])
        add(app, "forgotten")
        add(app, "later", delay=DAY)
        clock.advance(2 * DAY)
        add(app, "new")
        assert [job.id for job in app.admin.stuck().jobs] == ["forgotten"]
        assert [job.id for job in app.admin.stuck(overdue=DAY).jobs] == ["forgotten", "later"]


class TestWorkers:
    def lease(self, app: Longshore, *queues: str, tasks: tuple[str, ...] = ()) -> Lease:
        lease = Lease(60, queues=queues, tasks=lambda: tasks, doing=lambda: Doing(slots=3))
        lease.begin(app.store)
        return lease

    def test_those_that_live_and_what_they_hold(self, app: Longshore, clock: ManualClock) -> None:
        idle, busy = self.lease(app, "mail"), self.lease(app, "default", tasks=("fail", "add"))
        for identity in ("one", "two"):
            add(app, identity)
            claim(app, identity, holder=busy.holder)
        app.admin.cancel("two")
        workers = {worker.name: worker for worker in app.admin.workers()}
        assert set(workers) == {idle.holder, busy.holder}
        seen = workers[busy.holder]
        assert (seen.alive, seen.queues, seen.slots, seen.tasks) == (True, ("default",), 3, ("add", "fail"))
        assert seen.pid is not None
        assert seen.lease_until == datetime.fromtimestamp(clock() / 1e6 + 60, UTC)
        assert sorted((job.id, job.task, job.cancelling) for job in seen.holds) == [
            ("one", "add", False),
            ("two", "add", True),
        ]
        assert workers[idle.holder].holds == ()

    def test_one_that_died_is_shown_until_it_holds_nothing(self, app: Longshore, clock: ManualClock) -> None:
        dead = self.lease(app, "default")
        add(app, "job")
        claim(app, "job", holder=dead.holder)
        clock.advance(61)
        (worker,) = app.admin.workers()
        assert (worker.name, worker.alive, worker.lease_until, [job.id for job in worker.holds]) == (
            dead.holder,
            False,
            None,
            ["job"],
        )
        assert rescue(app.store, dead.holder, by="me", lease=60) is not None
        assert app.admin.workers() == ()

    def test_tasks_that_no_living_worker_takes(self, app: Longshore, clock: ManualClock) -> None:
        add(app, "a")
        add(app, "b", queue="mail")
        add(app, "c", queue="mail", delay=60)
        fail(app, "d")
        assert {(each.queue, each.task, each.jobs) for each in app.admin.unserved()} == {
            ("default", "add", 1),
            ("default", "discard", 1),
            ("mail", "add", 2),
        }
        self.lease(app, "default", tasks=("add",))
        assert [(each.queue, each.task, each.jobs, each.known) for each in app.admin.unserved()] == [
            ("default", "discard", 1, False),
            ("mail", "add", 2, True),
        ]
        self.lease(app, "default", "mail", tasks=("add", "discard"))
        assert app.admin.unserved() == ()
        clock.advance(61)
        assert len(app.admin.unserved()) == 3

    def test_a_real_worker_says_which_tasks_it_knows(self, app: Longshore) -> None:
        with app.worker(queues=["default"], slots=2):
            (worker,) = app.admin.workers()
        assert worker.tasks == ("add", "discard", "fail")
        assert (worker.queues, worker.slots) == (("default",), 2)


class TestStats:
    def test_jobs_by_state_and_workers(self, app: Longshore) -> None:
        lease = Lease(60)
        lease.begin(app.store)
        Lease(60).begin(app.store)
        for identity in ("running", "reserved", "cancelled", "succeeded"):
            add(app, identity)
        fail(app, "failed")
        claim(app, "running", holder=lease.holder)
        claim(app, "reserved", holder=lease.holder, reserve=True)
        app.admin.cancel("cancelled")
        work(app)
        add(app, "due")
        add(app, "later", delay=60)
        add(app, "much later", delay=DAY)
        stats = app.admin.stats()
        assert (stats.pending, stats.scheduled, stats.running, stats.reserved) == (3, 2, 1, 1)
        assert (stats.succeeded, stats.failed, stats.cancelled, stats.waiting) == (1, 1, 1, 0)
        assert (stats.expired, stats.abandoned) == (0, 0)
        assert (stats.workers, stats.busy_workers, stats.idle_workers) == (2, 1, 1)
        assert app.admin.stats(scheduled=False).scheduled is None

    def test_counts_by_queue(self, app: Longshore) -> None:
        add(app, "a")
        add(app, "b", queue="mail")
        app.admin.cancel("b")
        counts = app.admin.counts()
        assert list(counts) == ["default", "mail"]
        assert counts["mail"][State.CANCELLED] == 1
        assert sum(counts["default"].values()) == 1
        assert state(app, "b") == "cancelled"
