"""Progress: said as often as one likes, written about once a second, its last value never lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from longshore import Context, Fixed, Longshore, Progress, Retry, Snooze, State
from longshore.cli import main
from longshore.contract import SECOND, Claim
from longshore.errors import InvalidValue
from longshore.guard import Guard
from longshore.telling.post import PAUSE, Post
from longshore.telling.voice import Voice
from longshore.testing.clock import ManualClock
from longshore.testing.faults.cut import Moment
from model.postal import PostalApp
from worker.gate import PATIENCE, Gate

ONCE = Retry(max_attempts=1)


@pytest.fixture
def app(target: Any) -> Iterator[PostalApp]:
    with PostalApp(target) as app:
        yield app


def held(app: PostalApp) -> Any:
    app.enqueue(app.call_by_name("by_hand"))
    return app.store.claim([Claim(("default",))], holder="here", limit=1).jobs[0]


def test_it_is_shown_while_the_run_is_on(app: PostalApp, gate: Gate) -> None:
    @app.task
    def walk(context: Context) -> None:
        context.progress(3, 4, "three of four")
        gate.stop_here()

    job = walk.enqueue()
    assert job.info().progress is None
    with app.worker(poll=60.0):
        gate.arrived()
        app.line.await_update()
        info = job.info()
        assert info.progress == Progress(3, 4, "three of four")
        assert info.progress.share == 0.75
        assert info.notes == {}, "it is no note of the application's"
        gate.open()


def test_a_thousand_words_in_a_short_run_cost_no_call_and_the_last_is_kept(app: PostalApp) -> None:
    @app.task
    def walk(context: Context) -> None:
        for step in range(1_000):
            context.progress(step + 1, 1_000)

    job = walk.enqueue()
    app.worker().run(until_empty=True)
    assert job.info().progress == Progress(1_000, 1_000)
    assert app.line.updated == [], "it went with the end of the run"


def test_it_is_written_once_in_a_second_the_last_alone(app: PostalApp) -> None:
    own = ManualClock(0)
    post = Post(lambda: Guard(app.line), monotonic=lambda: own() / SECOND)
    job = held(app)
    voice = Voice(post, job)

    def say(done: int) -> None:
        voice.keep({"notes": {"done": done}})

    def let_a_second_pass() -> None:
        own.advance(PAUSE)
        with post._news:
            post._news.notify()  # Its clock is the test's: nothing else wakes it.
        app.line.await_update()

    for done in range(100):
        say(done)
    let_a_second_pass()
    for done in range(100, 200):
        say(done)
    let_a_second_pass()
    assert app.line.updated == [{"notes": {"done": 99}}, {"notes": {"done": 199}}]
    post.close()


@pytest.mark.parametrize("end", ["return", "raise", "snooze", "fail for good"])
def test_the_last_word_is_kept_however_the_run_ends(app: PostalApp, end: str) -> None:
    @app.task(retry=ONCE if end == "fail for good" else Retry(delay=Fixed(3_600)))
    def walk(context: Context) -> None:
        context.progress(1, message=end)
        if end == "snooze":
            raise Snooze(3_600)
        if end != "return":
            raise OSError("as the test wanted")

    job = walk.enqueue()
    app.worker().run(until_empty=True)
    assert job.info().progress == Progress(1, None, end)


@pytest.mark.parametrize("where", ["worker", "foreground"])
def test_the_last_word_of_a_run_that_is_cancelled_before_it_can_go_on_is_kept(app: PostalApp, where: str) -> None:
    @app.task
    def walk(context: Context) -> None:
        context.progress(1, message="last")
        app.admin.cancel([context.job_id])
        raise OSError("as the test wanted: it would run again")

    job = walk.enqueue()
    if where == "worker":
        app.worker().run(until_empty=True)
    else:
        with pytest.raises(OSError, match="as the test wanted"):
            app.admin.run_here(job.id)
    info = job.info()
    assert (info.state, info.progress) == (State.CANCELLED, Progress(1, None, "last"))


def test_what_is_on_its_way_when_the_run_ends_is_said_again_with_its_end(app: PostalApp, gate: Gate) -> None:
    app.line.hold()

    @app.task
    def walk(context: Context) -> None:
        context.progress(7)
        assert app.line.reached.wait(PATIENCE), "expected the post to be under way"

    job = walk.enqueue()
    app.worker().run(until_empty=True)
    assert job.info().progress == Progress(7), "the end of the run has overtaken the post"
    app.line.released.set()
    app.post.close()
    assert job.info().progress == Progress(7)


def test_while_the_store_is_away_it_is_tried_again(app: PostalApp) -> None:
    voice = Voice(app.post, held(app))
    app.line.cut("update", Moment.BEFORE)
    voice.keep({"notes": {"said": 1}})
    app.line.await_update()
    app.line.await_update()
    assert app.job(voice.job.id).info().notes == {"said": 1}


def test_a_late_run_s_progress_is_not_shown(app: PostalApp) -> None:
    job = held(app)
    voice = Voice(app.post, job)
    app.admin.retry(job.id)
    voice.keep({"notes": {"late": True}})
    voice.due = 0.0
    voice.save({}).exception(PATIENCE)
    assert app.job(job.id).info().notes == {}
    voice.keep({"notes": {"late": True}})
    assert voice.unsaid() == {}, "nothing more is kept for it"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), "3", None])
def test_what_is_no_number_is_refused(app: PostalApp, number: Any) -> None:
    @app.task(retry=ONCE)
    def walk(context: Context) -> str:
        with pytest.raises(InvalidValue, match="done must be a finite number"):
            context.progress(number)
        context.progress(1, message="\0\ud800" + "a" * 5_000)
        return "refused"

    job = walk.enqueue()
    app.worker().run(until_empty=True)
    assert job.result(timeout=0) == "refused"
    said = job.info().progress
    assert said is not None
    assert said.message == ("?" + "a" * 5_000)[:1_000]


def test_people_see_it_in_lists_and_on_the_command_line(shared_target: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Longshore(shared_target) as app:

        @app.task
        def walk(context: Context) -> None:
            context.progress(1, 2, "half")

        job = walk.enqueue()
        app.worker().run(until_empty=True)
        (listed,) = app.admin.jobs().jobs
        assert listed.progress == Progress(1, 2, "half")
    with pytest.raises(SystemExit, match="0"):
        main(["jobs", "show", job.id, "--url", shared_target, "--json"])
    assert json.loads(capsys.readouterr().out)["progress"] == {"done": 1, "total": 2, "message": "half"}
