"""Replies: a task sends messages while it runs, and a client looks, waits, iterates, and learns of a restart."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from longshore import Context, Fixed, Longshore, Reply, Restarted, Retry, State
from longshore.contract import Claim, Write
from longshore.errors import Blocked, InvalidValue, JobRemoved, LeaseLost, NotReady, TooLarge
from longshore.holders import rescue
from longshore.telling.voice import Voice
from model.postal import values
from worker.gate import PATIENCE, Gate

Connect = Callable[..., Longshore]
ONCE = Retry(max_attempts=1)


@dataclass(frozen=True)
class Step:
    name: str
    path: Path


@pytest.fixture
def speaker(app: Longshore, gate: Gate) -> Iterator[Longshore]:
    """An application whose task sends a few replies, stops at the gate, and sends another."""

    @app.task
    def speak(context: Context, words: list[str]) -> str:
        for word in words:
            context.reply(word)
        gate.stop_here(context.attempt)
        context.reply("bye")
        return "done"

    with app.worker(poll=60.0):
        yield app
        gate.open()


def speak(app: Longshore, *words: str) -> Any:
    return app.enqueue(app.call_by_name("speak", {"words": list(words)}))


class TestReading:
    def test_a_client_looks_at_those_so_far(self, speaker: Longshore, gate: Gate) -> None:
        job = speak(speaker, "a", "b")
        gate.arrived()
        replies = job.replies()
        assert replies.so_far() == [Reply("a", 1, 1), Reply("b", 2, 1)]
        assert replies.so_far() == [], "they were given before"
        assert values(job.replies().so_far()) == ["a", "b"], "another reader has a place of its own"
        gate.open()
        job.wait(PATIENCE)
        assert values(replies.so_far()) == ["bye"]

    def test_a_client_waits_for_the_next(self, speaker: Longshore, gate: Gate) -> None:
        job = speak(speaker, "a")
        replies = job.replies(timeout=PATIENCE)
        assert replies.next() == Reply("a", 1, 1)
        gate.arrived()
        with pytest.raises(NotReady, match=r"no reply within 0\.01 s"):
            replies.next(timeout=0.01)
        gate.open()
        assert replies.next() == Reply("bye", 2, 1)
        assert replies.next() is None, "the job has ended"
        assert job.result(timeout=0) == "done"

    def test_iteration_ends_with_the_job_and_then_there_is_its_result(self, speaker: Longshore, gate: Gate) -> None:
        job = speak(speaker, *"abc")
        heard = []
        for message in job.replies(timeout=PATIENCE):
            heard += values([message])
            if heard == ["a", "b", "c"]:
                gate.open()
        assert heard == ["a", "b", "c", "bye"]
        assert job.result(timeout=0) == "done"

    def test_a_job_that_ended_long_ago_has_its_replies_and_nothing_is_waited_for(self, app: Longshore) -> None:
        @app.task
        def count(context: Context, most: int) -> None:
            for number in range(most):
                context.reply(number)

        job = count.enqueue(3)
        app.worker().run(until_empty=True)
        assert values(list(job.replies(timeout=0))) == [0, 1, 2]

    def test_a_job_that_failed_has_said_what_it_said(self, app: Longshore) -> None:
        @app.task(retry=ONCE)
        def fail(context: Context) -> None:
            context.reply("before")
            raise OSError("as the test wanted")

        job = fail.enqueue()
        app.worker().run(until_empty=True)
        assert values(list(job.replies(timeout=0))) == ["before"]
        assert job.info().state is State.FAILED

    def test_more_than_a_page_of_them_comes_in_order(self, app: Longshore) -> None:
        @app.task
        async def count(context: Context, most: int) -> None:
            await asyncio.gather(*(context.areply(number) for number in range(most)))

        job = count.enqueue(1_200)
        app.worker().run(until_empty=True)
        assert values(job.replies().so_far()) == list(range(1_200))
        assert values(list(job.replies(timeout=0))) == list(range(1_200))

    def test_where_there_is_no_job_there_are_no_replies(self, app: Longshore) -> None:
        with pytest.raises(JobRemoved):
            app.job("none").replies().so_far()
        with pytest.raises(JobRemoved):
            next(iter(app.job("none").replies()))

    def test_a_task_cannot_wait_for_another_s_replies_in_its_slot(self, app: Longshore) -> None:
        never = app.enqueue(app.call_by_name("unknown"))

        @app.task(retry=ONCE)
        def wait() -> str:
            assert never.replies().so_far() == [], "looking takes no time"
            with pytest.raises(Blocked):
                never.replies().next()
            return "not blocked"

        job = wait.enqueue()
        app.worker().run(until_empty=True)
        assert job.result(timeout=0) == "not blocked"


class TestTypes:
    def test_a_reply_comes_back_as_the_context_is_annotated(self, app: Longshore) -> None:
        @app.task
        def walk(context: Context[Step]) -> None:
            context.reply(Step("a", Path("x/y")))

        job = walk.enqueue()
        app.worker().run(until_empty=True)
        assert values(job.replies().so_far()) == [Step("a", Path("x/y"))]

    def test_who_does_not_know_the_task_says_the_type(self, connect: Connect) -> None:
        app, client = connect(), connect()

        @app.task
        def walk(context: Context[Step]) -> None:
            context.reply(Step("a", Path("x/y")))

        job = walk.enqueue()
        app.worker().run(until_empty=True)
        assert values(client.job(job.id).replies(Step).so_far()) == [Step("a", Path("x/y"))]
        assert values(client.job(job.id).replies().so_far()) == [{"name": "a", "path": "x/y"}]
        with pytest.raises(InvalidValue):
            client.job(job.id).replies(int).so_far()

    def test_one_that_is_not_of_the_type_keeps_back_no_other(self, app: Longshore) -> None:
        @app.task
        def tell(context: Context) -> None:
            for value in (1, 2, "three", 4):
                context.reply(value)

        job = tell.enqueue()
        app.worker().run(until_empty=True)
        for replies in (job.replies(int), job.replies(int)):
            assert values([replies.next() or Restarted(0), replies.next() or Restarted(0)]) == [1, 2]
            with pytest.raises(InvalidValue, match="Expected `int`"):
                replies.next()
            assert values(list(replies)) == [4]
        replies = job.replies(int)
        assert values(replies.so_far()) == [1, 2]
        with pytest.raises(InvalidValue):
            replies.so_far()
        assert values(replies.so_far()) == [4]

        async def listen() -> list[Any]:
            replies = job.replies(int)
            heard = [*await replies.aso_far()]
            with pytest.raises(InvalidValue):
                await replies.anext()
            return values([*heard, *await replies.aso_far()])

        assert asyncio.run(listen()) == [1, 2, 4]

    def test_what_cannot_be_stored_is_refused_and_the_others_are_not(self, connect: Connect) -> None:
        app = connect(max_payload=1_000)

        @app.task(retry=ONCE)
        def tell(context: Context[Step]) -> None:
            with pytest.raises(InvalidValue):
                context.reply(5)  # type: ignore[arg-type]
            with pytest.raises(InvalidValue):
                context.reply(object())  # type: ignore[arg-type]
            with pytest.raises(TooLarge, match="store it elsewhere"):
                context.reply(Step("a" * 1_001, Path()))
            context.reply(Step("small", Path()))

        job = tell.enqueue()
        app.worker().run(until_empty=True)
        assert job.result(timeout=0) is None
        assert values(job.replies().so_far()) == [Step("small", Path())]


class TestRestart:
    def test_a_reader_learns_that_the_job_has_begun_anew(self, app: Longshore, gate: Gate) -> None:
        @app.task(retry=Retry(max_attempts=2, delay=Fixed(0)))
        def twice(context: Context) -> None:
            context.reply(f"attempt {context.attempt}")
            if context.attempt == 1:
                gate.stop_here()
                raise OSError("as the test wanted")

        job = twice.enqueue()
        with app.worker(poll=60.0):
            replies = job.replies(timeout=PATIENCE)
            assert replies.next() == Reply("attempt 1", 1, 1)
            gate.open()
            assert list(replies) == [Restarted(2), Reply("attempt 2", 1, 2)]
        assert list(job.replies()) == [Reply("attempt 2", 1, 2)], "who has read nothing learns of no restart"

    def test_it_learns_of_it_also_where_the_new_run_says_nothing(self, app: Longshore) -> None:
        @app.task(retry=Retry(max_attempts=2, delay=Fixed(0)))
        def once(context: Context) -> None:
            if context.attempt == 1:
                context.reply("void")
                raise OSError("as the test wanted")

        job = once.enqueue()
        replies = job.replies(timeout=PATIENCE)
        app.worker(max_jobs=1).run()
        assert values(replies.so_far()) == ["void"]
        app.worker().run(until_empty=True)
        assert list(replies) == [Restarted(2)]

    def test_a_late_run_s_replies_never_mix_with_a_newer_one_s(self, app: Longshore) -> None:
        job = app.enqueue(app.call_by_name("by_hand"))
        (late,) = app.store.claim([Claim(id=job.id)], holder="late", limit=1).jobs
        first = Voice(app.post, late)
        first.reply(b'\x92\xa4json\xc4\x03"a"').result(PATIENCE)
        replies = job.replies()
        assert replies.so_far() == [Reply("a", 1, 1)]
        app.store.write([Write("holder", "late", None)])
        assert rescue(app.store, "late", by="test", lease=10**6) is not None
        (newer,) = app.store.claim([Claim(id=job.id)], holder="newer", limit=1).jobs
        second = Voice(app.post, newer)
        second.reply(b'\x92\xa4json\xc4\x03"b"').result(PATIENCE)
        # Within a second of its last look the late run may not know yet; what it says stands under its own run.
        first.looked = float("-inf")
        with pytest.raises(LeaseLost, match="does not hold it any more"):
            first.reply(b'\x92\xa4json\xc4\x03"c"').result(PATIENCE)
        first.is_void, first.looked = False, float("inf")
        first.reply(b'\x92\xa4json\xc4\x03"d"').result(PATIENCE)
        assert replies.so_far() == [Restarted(2), Reply("b", 1, 2)]
        assert job.replies().so_far() == [Reply("b", 1, 2)]

    def test_ids_that_begin_alike_share_no_replies(self, app: Longshore) -> None:
        @app.task
        def tell(context: Context) -> None:
            context.reply(context.job_id)

        names = ["a", "a:1", "a:0000000001", "ä" * 100]
        jobs = [tell.options(id=name).enqueue() for name in names]
        app.worker().run(until_empty=True)
        assert [values(job.replies().so_far()) for job in jobs] == [[name] for name in names]


class TestOnAnEventLoop:
    def test_async_iteration_ends_with_the_job(self, speaker: Longshore, gate: Gate) -> None:
        async def listen() -> list[Any]:
            job = speak(speaker, *"abc")
            heard = []
            async for message in job.replies(timeout=PATIENCE):
                heard += values([message])
                if heard == ["a", "b", "c"]:
                    gate.open()
            return [*heard, await job.aresult(timeout=PATIENCE)]

        assert asyncio.run(listen()) == ["a", "b", "c", "bye", "done"]

    def test_looking_and_waiting(self, speaker: Longshore, gate: Gate) -> None:
        async def listen() -> None:
            job = speak(speaker, "a")
            replies = job.replies(timeout=PATIENCE)
            assert await replies.anext() == Reply("a", 1, 1)
            with pytest.raises(NotReady):
                await replies.anext(timeout=0.01)
            assert await replies.aso_far() == []
            gate.open()
            assert await replies.anext() == Reply("bye", 2, 1)
            assert await replies.anext() is None
            with pytest.raises(JobRemoved):
                await speaker.job("none").replies().anext()
            with pytest.raises(JobRemoved):
                await speaker.job("none").replies().aso_far()

        asyncio.run(listen())

    def test_one_thread_waits_for_any_number_of_readers(self, app: Longshore, gate: Gate) -> None:
        @app.task
        async def tell(context: Context, word: str) -> None:
            await context.areply(word)
            await asyncio.to_thread(gate.stop_here)
            await context.areply(word * 2)

        async def listen(word: str) -> list[Any]:
            replies = (await tell.aenqueue(word)).replies(timeout=PATIENCE)
            first = await replies.anext()
            waiting = asyncio.create_task(replies.anext())
            await asyncio.sleep(0)
            return values([message for message in (first, await waiting) if message])

        async def all_listen() -> list[list[Any]]:
            listening = asyncio.gather(*(listen(word) for word in "abcdefgh"))
            for _ in range(4):
                await asyncio.to_thread(gate.arrived)
            threads = [thread.name for thread in threading.enumerate() if thread.name == "longshore-watch"]
            assert len(threads) <= 1
            gate.open()
            return await listening

        with app.worker(poll=60.0, slots=8):
            assert asyncio.run(all_listen()) == [[word, word * 2] for word in "abcdefgh"]
