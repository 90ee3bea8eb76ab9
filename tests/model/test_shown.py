"""What operators see of groups, queues, locks, schedules and replies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from longshore import Context, Every, Fixed, Longshore, Retry, State
from longshore.contract import Claim, Write
from longshore.schedules.stored import KIND as SCHEDULE
from longshore.telling.stored import KIND as REPLY
from longshore.telling.stored import reply_key, run_prefix


@pytest.fixture
def pier(app: Longshore) -> Longshore:
    """An application with a task that succeeds, and one that does not."""

    @app.task
    def load(weight: int = 1) -> int:
        return weight

    @app.task(retry=Retry(max_attempts=1))
    def drop(weight: int = 1) -> None:
        raise ValueError(f"{weight} tons overboard")

    return app


class TestJobs:
    def test_by_their_group_their_key_and_those_that_they_wait_for(self, pier: Longshore) -> None:
        load = pier.tasks["load"]
        first = load.options(id="first", group="cargo", key="ship").enqueue()
        load.options(id="second", group="cargo", after=first).enqueue()
        load.options(id="third", key="ship", after=["first", "second"]).enqueue()
        load.options(id="stranger").enqueue()
        assert [job.id for job in pier.admin.jobs(groups="cargo").jobs] == ["second", "first"]
        assert [job.id for job in pier.admin.jobs(keys=["ship", "boat"]).jobs] == ["third", "first"]
        assert [job.id for job in pier.admin.jobs(parents="first").jobs] == ["third", "second"]
        assert [job.id for job in pier.admin.every(parents="first", groups="cargo")] == ["second"]


class TestGroups:
    def test_how_far_one_has_come(self, pier: Longshore) -> None:
        with pier.group("cargo", then=pier.tasks["load"].call(9)) as group:
            group.enqueue(pier.tasks["load"].call())
            group.enqueue(pier.tasks["drop"].call())
            left = group.enqueue(pier.tasks["load"].options(delay=600).call())
        pier.worker().run(until_empty=True)
        cargo = pier.admin.group("cargo")
        assert cargo is not None
        assert (cargo.size, cargo.ended, cargo.sealed, cargo.called) == (3, 2, True, False)
        assert cargo.callback == "group:cargo:done"
        assert {state: number for state, number in cargo.members.items() if number} == {
            State.SUCCEEDED: 1,
            State.FAILED: 1,
            State.PENDING: 1,
        }
        pier.admin.cancel(left.id)
        after = pier.admin.group("cargo")
        assert after is not None
        assert (after.ended, after.sealed, after.called) == (3, True, True)

    def test_open_ones_are_those_with_members_that_have_not_ended_or_a_callback_to_come(self, pier: Longshore) -> None:
        load = pier.tasks["load"]
        pier.group("over").enqueue(load.call())
        pier.worker().run(until_empty=True)
        pier.group("open").enqueue(load.call())
        pier.group("sealed").enqueue(load.call())
        pier.group("sealed").seal(load.call())
        pier.group("empty").seal(load.call())
        load.enqueue()
        assert [(each.name, each.sealed, each.ended) for each in pier.admin.groups()] == [
            ("open", False, 0),
            ("sealed", True, 0),
        ]
        assert [each.name for each in pier.admin.groups(ended=True)] == ["empty", "open", "over", "sealed"]

    def test_one_that_was_sealed_too_early_to_be_called_is_open(self, pier: Longshore) -> None:
        pier.store.write([Write("group", "crashed", b"{}", 0)])
        assert [(each.name, each.size, each.called) for each in pier.admin.groups()] == [("crashed", 0, False)]

    def test_nothing_is_known_of_one_that_is_not_there(self, pier: Longshore) -> None:
        pier.tasks["load"].enqueue()
        assert pier.admin.group("nothing") is None
        assert pier.admin.groups(ended=True) == ()


class TestQueues:
    def test_those_with_jobs_pauses_and_limits(self, pier: Longshore) -> None:
        pier.tasks["load"].options(queue="mail").enqueue()
        pier.admin.pause_queue(["still", "mail"])
        pier.admin.limit(queue="narrow", running=2, rate=(100, 60))
        pier.admin.limit(task="load", running=1)
        mail, narrow, still = pier.admin.queues()
        assert (mail.name, mail.jobs[State.PENDING], mail.limit) == ("mail", 1, None)
        assert mail.paused is not None
        assert (narrow.name, sum(narrow.jobs.values()), narrow.paused) == ("narrow", 0, None)
        assert narrow.limit is not None
        assert (narrow.limit.running, narrow.limit.rate) == (2, (100, 60.0))
        assert (still.name, still.limit) == ("still", None)
        assert still.paused is not None


class TestStats:
    def test_locks_and_schedules_are_counted(self, pier: Longshore) -> None:
        call = pier.tasks["load"].call()
        assert (pier.admin.stats().locks, pier.admin.stats().schedules, pier.admin.stats().paused_schedules) == (0,) * 3
        for name in ("a", "b", "rests", "gone"):
            pier.admin.schedules.put(name, Every(3_600), call)
        pier.admin.schedules.pause("rests")
        pier.admin.schedules.remove("gone")
        pier.store.write([Write(SCHEDULE, "unreadable", b"{", 0)])
        with pier.lock("crane"):
            stats = pier.admin.stats()
        assert (stats.locks, stats.schedules, stats.paused_schedules) == (1, 2, 1)
        assert pier.admin.stats().locks == 0


class TestReplies:
    def test_those_of_the_last_run_without_secrets(self, connect: Callable[..., Longshore]) -> None:
        app, stranger = connect(), connect()

        @app.task(secret=["token"], retry=Retry(max_attempts=2, delay=Fixed(0)))
        def tell(context: Context, token: str) -> None:
            context.reply(f"run {context.attempt} with {token}")
            if context.attempt == 1:
                raise OSError

        job = tell.enqueue("hush-hush")
        app.worker().run(until_empty=True)
        assert app.admin.replies(job.id) == ("'run 2 with ***'",)
        assert app.admin.replies("nobody") is None
        (hidden,) = stranger.admin.replies(job.id) or ()
        assert "bytes" in hidden
        assert "run" not in hidden

    def test_of_many_the_last_hundred_and_what_cannot_be_read_by_its_size(self, pier: Longshore) -> None:
        job = pier.tasks["load"].enqueue()
        pier.store.claim([Claim(id=job.id)], holder="anna", limit=1)
        prefix = run_prefix(job.id, 1)
        pier.store.write([Write(REPLY, reply_key(prefix, number), b"what", 0) for number in range(1, 703)])
        assert pier.admin.replies(job.id) == ("… 4 bytes",) * 100
