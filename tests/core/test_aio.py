"""The asynchronous side: what is asked at the same time goes in one call, and one thread awaits all ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from core.working import work
from longshore import Job, Longshore, Retry, State, Task, Unique, aio
from longshore.contract import EVERY, Driver, NewJob, Where
from longshore.errors import (
    Blocked,
    IdConflict,
    InvalidValue,
    JobFailed,
    JobRemoved,
    NotReady,
    TooLarge,
    Unavailable,
    UniqueConflict,
)
from longshore.guard import Guard
from longshore.info import ended_topic
from longshore.testing.together import together

LONG = 30.0


@pytest.fixture
def app(target: Any) -> Iterator[Longshore]:
    with Longshore(target, max_payload=1_000, patience=0) as app:
        yield app


@pytest.fixture
def double(app: Longshore) -> Task[[int], int]:
    @app.task(retry=Retry(max_attempts=1))
    def double(number: int) -> int:
        if number < 0:
            raise ValueError("negative")
        return 2 * number

    return double


def until_all_are_awaited(app: Longshore) -> None:
    while not all(job.awaited for job in app.store.each()):
        pass


def work_and_tell(app: Longshore) -> None:
    jobs = list(app.store.each())
    left = len(jobs)
    while left:  # What was committed a moment ago may be seen and still be locked: a claim passes over it.
        left -= len(work(app))
    app.store.wake([ended_topic(job.id) for job in jobs])


class CountingGuard(Guard):
    """Notes how many jobs each insert and each look was about."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.inserts: list[int] = []
        self.looks: list[int] = []
        self.listened: list[int] = []

    def insert(self, jobs: Any, **how: Any) -> Any:
        self.inserts.append(len(jobs))
        return super().insert(jobs, **how)

    def select(self, where: Where = EVERY, **options: Any) -> Any:
        self.looks.append(len(where.ids or ()))
        return super().select(where, **options)

    def listen(self, topics: Sequence[str]) -> Any:
        self.listened.append(threading.get_ident())
        return super().listen(topics)


@pytest.fixture
def counted(app: Longshore) -> Iterator[Any]:
    def guard(driver: Driver, **options: Any) -> Guard:
        return CountingGuard(driver, patience=0, max_payload=1_000)

    with app.elsewhere(app.store.driver.target, guard=guard):
        yield app.store


class TestEnqueue:
    def test_a_hundred_at_once_take_one_call(self, app: Longshore, double: Any, counted: CountingGuard) -> None:
        async def main() -> list[Job[int]]:
            return await asyncio.gather(*(double.aenqueue(number) for number in range(100)))

        jobs = asyncio.run(main())
        assert counted.inserts == [100]
        work(app)
        assert [job.result() for job in jobs] == [2 * number for number in range(100)]

    def test_each_has_its_own_refusal(self, app: Longshore, double: Any) -> None:
        double.options(id="taken").enqueue(1)
        strict = double.options(unique=Unique(if_held="raise"))
        strict.enqueue(7)

        async def main() -> list[Any]:
            return await asyncio.gather(
                double.aenqueue(1),
                double.options(id="taken").aenqueue(2),
                double.options(notes={"n": {1}}).aenqueue(2),
                app.aenqueue(app.call_by_name("elsewhere", {"text": "x" * 2_000})),
                strict.aenqueue(7),
                double.options(queue="other").aenqueue(3),
                return_exceptions=True,
            )

        kinds = [type(answer) for answer in asyncio.run(main())]
        assert kinds == [Job, IdConflict, InvalidValue, TooLarge, UniqueConflict, Job]
        assert sum(app.counts().values()) == 4

    def test_arguments_that_do_not_fit_are_refused_before_anything_is_sent(self, double: Any) -> None:
        async def main() -> None:
            with pytest.raises(InvalidValue):
                await double.aenqueue("five")

        asyncio.run(main())

    def test_where_the_store_fails_half_way_each_learns_whether_its_own_job_is_stored(
        self, app: Longshore, double: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        driver = app.store.driver
        insert = driver.insert
        monkeypatch.setattr(app.store, "_limits", type(driver.limits)(batch=2))

        def breaks_after_two(jobs: Sequence[NewJob], **options: Any) -> Any:
            if any(job.payload == b'{"number":3}' for job in jobs):
                raise Unavailable("gone")
            return insert(jobs, **options)

        monkeypatch.setattr(driver, "insert", breaks_after_two)

        async def main() -> list[Any]:
            return await asyncio.gather(*(double.aenqueue(number) for number in range(5)), return_exceptions=True)

        answers = asyncio.run(main())
        assert [type(answer) for answer in answers] == [Job, Job, Unavailable, Unavailable, Unavailable]
        assert {job.id for job in app.store.each()} == {answer.id for answer in answers[:2]}

    def test_a_bulk(self, app: Longshore, double: Any) -> None:
        jobs = asyncio.run(app.aenqueue_many(double.call(number) for number in range(3)))
        work(app)
        assert [job.result() for job in jobs] == [0, 2, 4]

    def test_from_several_loops_at_once(self, app: Longshore, double: Any) -> None:
        async def main() -> list[int]:
            jobs = await asyncio.gather(*(double.aenqueue(number) for number in range(20)))
            return await asyncio.gather(*(job.aresult(LONG) for job in jobs))

        app.store.now()
        with app.worker(slots=2):
            assert together(*[lambda: asyncio.run(main())] * 4) == [[2 * number for number in range(20)]] * 4

    def test_on_one_loop_after_another(self, app: Longshore, double: Any) -> None:
        jobs = [asyncio.run(double.aenqueue(number)) for number in range(3)]
        assert len({job.id for job in jobs}) == 3

    def test_one_of_many_that_is_refused_costs_few_calls(
        self, app: Longshore, double: Any, counted: CountingGuard
    ) -> None:
        large = app.call_by_name("elsewhere", {"text": "x" * 2_000})

        async def main() -> list[Any]:
            calls = [*(double.call(number) for number in range(100)), large]
            return await asyncio.gather(*map(app.aenqueue, calls), return_exceptions=True)

        *jobs, refused = asyncio.run(main())
        assert isinstance(refused, TooLarge)
        assert {type(job) for job in jobs} == {Job}
        assert len(counted.inserts) < 20

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    def test_in_a_forked_child(self, double: Any, in_child: Callable[[Callable[[], str]], str]) -> None:
        async def main() -> str:
            job = await double.aenqueue(1)
            return (await job.ainfo()).state.name

        assert asyncio.run(main()) == "PENDING"
        assert in_child(lambda: asyncio.run(main())) == "PENDING"


class TestInfo:
    def test_many_are_read_at_once(self, double: Any, counted: CountingGuard) -> None:
        jobs = [double.enqueue(number) for number in range(50)]

        async def main() -> list[Any]:
            return await asyncio.gather(*(job.ainfo() for job in [*jobs, jobs[0]]))

        infos = asyncio.run(main())
        assert [info.id for info in infos] == [job.id for job in [*jobs, jobs[0]]]
        assert counted.looks == [50]

    def test_one_that_is_gone_says_so_and_the_others_are_shown(self, app: Longshore, double: Any) -> None:
        async def main() -> list[Any]:
            return await asyncio.gather(double.enqueue(1).ainfo(), app.job("nobody").ainfo(), return_exceptions=True)

        shown, gone = asyncio.run(main())
        assert shown.state is State.PENDING
        assert isinstance(gone, JobRemoved)


class TestResult:
    def test_it_comes_when_a_worker_ends_the_job(self, app: Longshore, double: Any) -> None:
        async def main() -> int:
            return await (await double.aenqueue(4)).aresult(LONG)

        with app.worker(slots=1):
            assert asyncio.run(main()) == 8

    def test_who_does_not_wait_is_told_of_an_end_all_the_same(self, app: Longshore, double: Any) -> None:
        ended, pending = double.enqueue(4), double.options(delay=LONG).enqueue(4)
        app.worker().run(until_empty=True)
        assert asyncio.run(ended.aresult(0)) == 8
        with pytest.raises(NotReady, match="is pending"):
            asyncio.run(pending.aresult(0))

    def test_many_wait_by_one_thread_which_then_ends(self, app: Longshore, double: Any, counted: CountingGuard) -> None:
        jobs = [double.enqueue(number) for number in range(40)]

        async def main() -> list[int]:
            waiting = [asyncio.ensure_future(job.aresult(LONG)) for job in [*jobs, *jobs]]
            await asyncio.to_thread(until_all_are_awaited, app)
            await asyncio.to_thread(work_and_tell, app)
            return await asyncio.gather(*waiting)

        assert asyncio.run(main()) == [2 * number for number in range(40)] * 2
        assert len(set(counted.listened)) == 1
        for thread in threading.enumerate():
            if thread.name == "longshore-watch":
                thread.join(LONG)
                assert not thread.is_alive()

    def test_a_wake_up_tells_the_end_and_nobody_looks_again_and_again(
        self, app: Longshore, double: Any, counted: CountingGuard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aio, "RECHECK_SECONDS", 10 * LONG)

        async def main() -> int:
            job = await double.aenqueue(4)
            waiting = asyncio.ensure_future(job.aresult(LONG))
            await asyncio.to_thread(until_all_are_awaited, app)
            counted.looks.clear()
            with app.worker(slots=1):
                return await waiting

        assert asyncio.run(main()) == 8
        assert counted.looks.count(1) <= 3  # At the beginning, after the wake-up, and for the result.

    def test_an_end_that_was_not_announced_is_found_all_the_same(self, app: Longshore, double: Any) -> None:
        async def main() -> int:
            job = await double.aenqueue(4)
            waiting = asyncio.ensure_future(job.aresult(LONG))
            await asyncio.to_thread(until_all_are_awaited, app)
            await asyncio.to_thread(work, app)  # Settles, and wakes nobody.
            return await waiting

        assert asyncio.run(main()) == 8

    def test_a_failure_is_raised_and_shown(self, app: Longshore, double: Any) -> None:
        async def main() -> None:
            job = await double.aenqueue(-1)
            await asyncio.to_thread(work, app)
            with pytest.raises(JobFailed, match="is failed: ValueError: negative"):
                await job.aresult(LONG)
            assert (await job.await_(LONG)).state is State.FAILED

        asyncio.run(main())

    def test_one_that_goes_on_is_not_ready(self, double: Any) -> None:
        async def main() -> None:
            job = await double.aenqueue(1)
            for ask in (job.aresult, job.await_):
                with pytest.raises(NotReady, match=f"job {job.id} is pending and has not ended within 0.05"):
                    await ask(0.05)

        asyncio.run(main())

    def test_one_that_is_removed_meanwhile_says_so(self, app: Longshore, double: Any) -> None:
        async def main() -> None:
            job = await double.aenqueue(1)
            waiting = asyncio.ensure_future(job.aresult(LONG))
            await asyncio.to_thread(until_all_are_awaited, app)
            app.store.delete(Where(ids=(job.id,)))
            app.store.wake([ended_topic(job.id)])
            with pytest.raises(JobRemoved):
                await waiting

        asyncio.run(main())

    def test_one_who_gives_up_leaves_the_others_waiting(self, app: Longshore, double: Any) -> None:
        async def main() -> int:
            job = await double.aenqueue(5)
            one, other = asyncio.ensure_future(job.aresult(LONG)), asyncio.ensure_future(job.aresult(LONG))
            await asyncio.to_thread(until_all_are_awaited, app)
            one.cancel()
            await asyncio.to_thread(work_and_tell, app)
            return await other

        assert asyncio.run(main()) == 10

    def test_who_waits_learns_that_the_store_is_gone(
        self, app: Longshore, double: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: Any, **__: Any) -> Any:
            raise Unavailable("gone")

        async def main() -> None:
            job = await double.aenqueue(1)
            monkeypatch.setattr(app.store.driver, "update", away)
            with pytest.raises(Unavailable, match="gone"):
                await job.aresult(LONG)
            monkeypatch.undo()
            await asyncio.to_thread(work, app)
            assert await job.aresult(LONG) == 2

        asyncio.run(main())

    def test_waiting_inside_a_task_is_refused_unless_the_job_has_ended(self, app: Longshore, double: Any) -> None:
        @app.task(queue="asking", retry=Retry(max_attempts=1))
        async def ask(identity: str) -> Any:
            return await app.job(identity).aresult(LONG)

        ended = double.enqueue(4)
        work(app)
        open_one = double.enqueue(5)
        good, bad = ask.enqueue(ended.id), ask.enqueue(open_one.id)
        work(app, "asking")
        assert good.result() == 8
        with pytest.raises(JobFailed, match=f"{Blocked.__name__}: a task cannot wait"):
            bad.result()
