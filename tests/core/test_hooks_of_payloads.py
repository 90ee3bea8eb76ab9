"""Hooks that replace the bytes which arguments are stored as, and put them back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.echo import arguments_of, register_echo
from longshore import Every, Longshore
from longshore.codecs import JSON, Encrypted, new_key
from longshore.contract import Where
from longshore.errors import InvalidValue
from longshore.hooks import Enqueuing, Payload


@pytest.fixture
def app(target: Any) -> Iterator[Longshore]:
    """An application on each store, with a task that gives back what it was called with."""
    with Longshore(target) as app:
        register_echo(app)
        yield app


def test_bytes_come_back_through_the_same_hooks_in_reverse(app: Longshore) -> None:
    def reverse(payload: Payload) -> None:
        assert (payload.task, payload.codec) == ("echo", "json")
        payload.data = payload.data[::-1]

    def sign(payload: Payload) -> None:
        payload.data = b"signed:" + payload.data

    async def check(payload: Payload) -> None:
        assert payload.data.startswith(b"signed:")
        payload.data = payload.data.removeprefix(b"signed:")

    app.hooks.serialize(reverse)
    app.hooks.deserialize(reverse)
    app.hooks.serialize(sign)
    app.hooks.deserialize(check)
    job, fetched = app.tasks["echo"].enqueue("a", 2), app.tasks["echo"].options(queue="by hand").enqueue("b")
    (stored,) = app.store.select(Where(ids=(job.id,)), limit=1).jobs
    assert stored.payload == b"signed:" + b'{"word":"a","number":2}'[::-1]
    app.worker().run(until_empty=True)
    assert job.result(timeout=5) == ["a", 2]
    assert arguments_of(app, fetched) == {"word": "b"}


def test_bytes_that_do_not_come_back_keep_the_job(app: Longshore) -> None:
    @app.hooks.deserialize
    def refuse(payload: Payload) -> None:
        raise ValueError("the seal is broken")

    job = app.tasks["echo"].enqueue("a")
    app.worker().run(until_empty=True)
    info = job.info()
    assert (info.shown_as, info.attempt, info.error) == ("retrying", 1, "ValueError: the seal is broken")
    assert (info.due - info.created).total_seconds() >= 29


@pytest.mark.parametrize("point", ["serialize", "deserialize"])
def test_a_payload_stays_bytes(app: Longshore, point: str) -> None:
    getattr(app.hooks, point)(lambda payload: setattr(payload, "data", "text"))
    if point == "serialize":
        with pytest.raises(InvalidValue, match="must be bytes; a hook of echo made it a str"):
            app.tasks["echo"].enqueue("a")
    else:
        job = app.tasks["echo"].enqueue("a")
        app.worker().run(until_empty=True)
        assert "must be bytes; a hook of echo made it a str" in (job.info().error or "")


def test_a_call_in_a_codec_that_never_writes_the_same_twice_can_be_changed(target: Any) -> None:
    with Longshore(target, codec=Encrypted(JSON, keys=[new_key()])) as app:

        @app.task
        def echo(word: str) -> str:
            return word

        @app.hooks.pre_enqueue
        def change(event: Enqueuing) -> None:
            event.arguments["word"] += "!"

        job = echo.options(id="mine").enqueue("a")
        assert echo.options(id="mine").enqueue("a") == job
        app.worker().run(until_empty=True)
        assert job.result(timeout=5) == "a!"


def test_what_a_schedule_enqueues_went_past_the_hooks_when_it_was_declared(app: Longshore) -> None:
    @app.hooks.pre_enqueue
    def change(event: Enqueuing) -> None:
        event.arguments["word"] += "!"

    @app.hooks.serialize
    def sign(payload: Payload) -> None:
        payload.data = b"signed:" + payload.data

    @app.hooks.deserialize
    def check(payload: Payload) -> None:
        assert payload.data.startswith(b"signed:")
        payload.data = payload.data.removeprefix(b"signed:")

    echo = app.tasks["echo"]
    app.schedule("declared", Every(3600), echo.call("a"))
    app.admin.schedules.put("put", Every(3600), echo.call("b"))
    app.admin.schedules.put("changed", Every(3600), echo.call("c"))
    app.admin.schedules.change("changed", call=echo.call("d"))
    app.worker().run(until_empty=True)
    jobs = [app.admin.schedules.run_now(name) for name in ("declared", "put", "changed")]
    app.worker().run(until_empty=True)
    assert [job and job.result(timeout=5) for job in jobs] == [["a!", 1], ["b!", 1], ["d!", 1]]
