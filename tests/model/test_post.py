"""The post: what runs tell is stored many at a time, in order, announced where somebody waits, and kept long enough."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from longshore import Context, Longshore, Reply, Restarted
from longshore.contract import SECOND, Change, Claim
from longshore.errors import Unavailable
from longshore.holders import end_lease, rescue
from longshore.info import told_topic
from longshore.telling.post import LIFETIME, RENEWAL, Post
from longshore.telling.stored import KIND, run_prefix
from longshore.telling.voice import Voice
from longshore.testing.clock import ManualClock
from longshore.testing.faults.cut import Moment
from longshore.testing.together import together
from model.postal import WatchedDriver, values
from worker.gate import PATIENCE

Connect = Callable[..., Longshore]


@pytest.fixture
def counted(app: Longshore) -> WatchedDriver:
    """The application's own store, watched."""
    driver = WatchedDriver(app.store.driver)
    app.store.driver = driver
    return driver


def held(app: Longshore, *names: str) -> list[Voice]:
    """Runs of jobs that are held here."""
    app.enqueue_many([app.call_by_name("by_hand") for _ in names])
    jobs = app.store.claim([Claim(("default",))], holder="here", limit=len(names)).jobs
    return [Voice(app.post, job) for job in jobs]


class TestPost:
    def test_what_is_said_during_a_trip_leaves_with_the_next_as_one(
        self, app: Longshore, counted: WatchedDriver
    ) -> None:
        voices = held(app, *"abc")
        reached, released = threading.Event(), threading.Event()
        plain = counted._pass

        def slow(method: str, call: Any) -> Any:
            if method == "write" and not reached.is_set():
                reached.set()
                assert released.wait(PATIENCE)
            return plain(method, call)

        counted._pass = slow  # type: ignore[method-assign]
        first = voices[0].reply(b"first")
        assert reached.wait(PATIENCE)
        counted.calls.clear()
        rest = [voice.reply(b"%d" % number) for number in range(50) for voice in voices]
        released.set()
        for future in [first, *rest]:
            future.result(PATIENCE)
        assert counted.calls.count("write") == 2, "the one that was under way, and one for all the others"
        assert counted.calls.count("update") <= 1
        assert [voice.number for voice in voices] == [51, 50, 50]

    def test_only_where_somebody_waits_it_is_announced(self, app: Longshore, counted: WatchedDriver) -> None:
        (voice,) = held(app, "a")
        voice.reply(b"1").result(PATIENCE)
        voice.reply(b"2").result(PATIENCE)
        assert "wake" not in counted.calls
        app.store.update([Change(voice.job.id, None, {"awaited": True})])
        listener = app.store.listen([told_topic(voice.job.id)])
        voice.looked = float("-inf")
        voice.reply(b"3").result(PATIENCE)
        assert listener.wait(PATIENCE)
        listener.close()

    def test_a_thousand_replies_look_at_the_fence_once(self, app: Longshore, counted: WatchedDriver) -> None:
        (voice,) = held(app, "a")
        voice.reply(b"0").result(PATIENCE)
        voice.looked = float("inf")  # As if no second passed.
        counted.calls.clear()
        for number in range(100):
            voice.reply(b"%d" % number).result(PATIENCE)
        assert set(counted.calls) == {"write"}

    def test_what_the_store_does_not_take_is_told_to_who_waits(self, connect: Connect) -> None:
        app = connect(patience=0)
        driver = WatchedDriver(app.store.driver)
        app.store.driver = driver
        (voice,) = held(app, "a")
        for method in ("update", "write"):
            voice.looked = float("-inf")
            driver.cut(method, Moment.BEFORE)
            with pytest.raises(Unavailable):
                voice.reply(b"lost").result(PATIENCE)
        voice.reply(b'\x92\xa4json\xc4\x03"b"').result(PATIENCE)
        assert values(app.job(voice.job.id).replies().so_far()) == ["b"]

    def test_who_is_cancelled_while_it_replies_takes_nobody_with_it(self, app: Longshore) -> None:
        @app.task
        async def tell(context: Context) -> str:
            hasty = asyncio.create_task(context.areply("hasty"))
            await asyncio.sleep(0)
            hasty.cancel()
            await asyncio.gather(hasty, return_exceptions=True)
            await context.areply("calm")
            return "done"

        job = tell.enqueue()
        app.worker().run(until_empty=True)
        assert job.result(timeout=0) == "done"
        assert values(job.replies().so_far())[-1] == "calm"

    def test_its_thread_ends_when_the_application_is_closed(self, app: Longshore) -> None:
        (voice,) = held(app, "a")
        voice.reply(b"1").result(PATIENCE)
        app.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "longshore-post"]

    def test_threads_of_one_run_reply_in_an_order_that_readers_see_whole(self, app: Longshore) -> None:
        @app.task
        def tell(context: Context) -> None:
            def some(name: str) -> None:
                for number in range(20):
                    context.reply([name, number])

            together(*(lambda name=name: some(name) for name in "abcd"))  # type: ignore[misc]

        job = tell.enqueue()
        heard: list[Any] = []
        with app.worker(poll=60.0):
            heard = values(list(job.replies(timeout=PATIENCE)))
        for name in "abcd":
            assert [number for who, number in heard if who == name] == list(range(20))


class TestLifetime:
    def test_replies_of_a_run_that_is_on_do_not_lapse_and_those_of_one_that_is_over_do(
        self, timed: Longshore, clock: ManualClock
    ) -> None:
        own = ManualClock(0)
        post = Post(lambda: timed.store, monotonic=lambda: own() / SECOND)
        timed.enqueue(timed.call_by_name("by_hand"))
        (job,) = timed.store.claim([Claim(("default",))], holder="here", limit=1).jobs
        voice = Voice(post, job)
        voice.reply(b'\x92\xa4json\xc4\x03"a"').result(PATIENCE)

        def pass_time(seconds: float) -> None:
            clock.advance(seconds)
            own.advance(seconds)
            # Anything said makes the post look at its clock, and write again what is due.
            voice.save({"cursor": b"c"}).result(PATIENCE)
            voice.save({"cursor": b"d"}).result(PATIENCE)

        for _ in range(6):
            pass_time(RENEWAL)
        assert values(timed.job(job.id).replies().so_far()) == ["a"], "three days after it was sent"
        voice.end()
        clock.advance(86_400)
        assert len(timed.store.read(KIND, prefix=run_prefix(job.id, 1))) == 1, "a day after the end"
        clock.advance(LIFETIME - 86_400)
        assert timed.store.read(KIND, prefix=run_prefix(job.id, 1)) == []
        post.close()


class TestCrashes:
    def test_a_reader_finds_replies_that_were_not_announced(self, app: Longshore, counted: WatchedDriver) -> None:
        (voice,) = held(app, "a")
        replies = app.job(voice.job.id).replies(timeout=PATIENCE)

        def say() -> None:
            while not app.store.select(limit=1).jobs[0].awaited:
                threading.Event().wait(0.01)
            counted.cut("wake", Moment.BEFORE)
            voice.looked = float("-inf")
            voice.reply(b'\x92\xa4json\xc4\x03"a"').result(PATIENCE)

        message, _ = together(replies.next, say)  # type: ignore[arg-type]
        assert message == Reply("a", 1, 1)

    def test_replies_that_were_looked_at_and_not_written_are_not_there(self, connect: Connect) -> None:
        app = connect(patience=0)
        driver = WatchedDriver(app.store.driver)
        app.store.driver = driver
        (voice,) = held(app, "a")
        driver.cut("write", Moment.BEFORE)
        with pytest.raises(Unavailable):
            voice.reply(b"lost").result(PATIENCE)
        assert app.job(voice.job.id).replies().so_far() == []

    def test_what_a_dead_run_said_is_void_when_the_job_begins_anew(self, app: Longshore) -> None:
        @app.task
        def by_hand(context: Context) -> None:
            context.reply("anew")

        by_hand.enqueue()
        (job,) = app.store.claim([Claim(("default",))], holder="dead", limit=1).jobs
        Voice(app.post, job).reply(b'\x92\xa4json\xc4\x05"old"').result(PATIENCE)
        replies = app.job(job.id).replies(timeout=PATIENCE)
        assert values([replies.next() or Restarted(0)]) == ["old"]
        end_lease(app.store, "dead")
        assert rescue(app.store, "dead", by="test", lease=10**6) is not None
        app.worker().run(until_empty=True)
        assert list(replies) == [Restarted(2), Reply("anew", 1, 2)]
