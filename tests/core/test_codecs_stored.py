"""Codecs of applications and tasks: each job is read with the one it was stored with, also by another program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.test_codecs_chosen import EVERY_CODEC, LITERAL, NAMES, NEW, OLD, Bomb
from core.working import work
from longshore import Job, Longshore, State
from longshore.codecs import JSON, MESSAGEPACK, Codec, Compressed, Encrypted, Pickle
from longshore.contract import SECOND, Change, StoredJob, Where
from longshore.errors import ConfigurationError, IdConflict, InvalidValue, UnknownCodec
from longshore.memory_store import MemoryStore
from longshore.testing.clock import ManualClock


def parent(path: Path, times: int = 1) -> Path:
    for _ in range(times):
        path = path.parent
    return path


class Dock:
    """Programs that share one store, each with its own codecs."""

    def __init__(self, store: Any, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock

    def program(self, *, task_codec: Any = None, **options: Any) -> Longshore:
        app = Longshore(self.store, clock=self.clock, **options)
        app.task(codec=task_codec)(parent)
        return app


@pytest.fixture
def dock(memory: MemoryStore, clock: ManualClock) -> Dock:
    return Dock(memory, clock)


def stored(app: Longshore, job: Job[Any]) -> StoredJob:
    return app.store.select(Where(ids=(job.id,))).jobs[0]


def enqueued(app: Longshore, path: str = "a/b/c", **options: Any) -> Job[Any]:
    return app.tasks["parent"].options(**options).enqueue(Path(path), times=2)


class TestChosen:
    @pytest.mark.parametrize("codec", EVERY_CODEC, ids=NAMES)
    def test_an_application_s_jobs_and_results_are_in_its_codec(self, dock: Dock, codec: Codec[Any]) -> None:
        app = dock.program(codec=codec)
        job = enqueued(app)
        by_name = app.enqueue(app.call_by_name("parent", {"path": Path("x/y")}))
        work(app)
        assert (job.result(), by_name.result()) == (Path("a"), Path("x"))
        assert {(each.codec, each.result_codec) for each in (stored(app, job), stored(app, by_name))} == {
            (codec.name, codec.name)
        }

    def test_a_task_s_own_codec_is_for_that_task_alone(self, dock: Dock) -> None:
        app = dock.program(codec="messagepack", task_codec=Encrypted(MESSAGEPACK, keys=[OLD]))

        @app.task
        def other(number: int) -> int:
            return number

        jobs = [enqueued(app), other.enqueue(1)]
        work(app)
        assert [stored(app, job).codec for job in jobs] == ["messagepack+aes-gcm", "messagepack"]
        assert [job.result() for job in jobs] == [Path("a"), 1]

    def test_what_is_called_by_name_for_another_program_is_in_the_codec_of_this_one(self, dock: Dock) -> None:
        producer = dock.program(codec=Compressed(MESSAGEPACK, least=0))
        del producer.tasks["parent"]
        job = producer.enqueue(producer.call_by_name("parent", {"path": "a/b"}))
        assert stored(producer, job).codec == "messagepack+zlib"
        work(dock.program())
        assert producer.job(job.id).result() == "a"

    def test_a_codec_that_is_not_known_is_refused_at_once(self, dock: Dock) -> None:
        with pytest.raises(UnknownCodec, match="'yaml'"):
            dock.program(codec="yaml")
        with pytest.raises(UnknownCodec, match="'pickle'"):
            dock.program(task_codec="pickle")
        with pytest.raises(ConfigurationError, match="at least one key"):
            dock.program(codec=Pickle(keys=[]))

    def test_large_arguments_that_shrink_are_within_the_limit(self, dock: Dock) -> None:
        plain, small = dock.program(max_payload=1_000), dock.program(max_payload=1_000, codec=Compressed(JSON))
        with pytest.raises(InvalidValue, match="1,000"):
            enqueued(plain, "a/" * 10_000)
        assert len(stored(small, enqueued(small, "a/" * 10_000)).payload) < 1_000


class TestChanged:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ({}, {"codec": "messagepack"}),
            ({"codec": Compressed(MESSAGEPACK, least=0)}, {}),
            ({"codec": Pickle(keys=[OLD])}, {"codec": Pickle(keys=[NEW, OLD])}),
            ({"codec": Pickle(keys=[OLD])}, {"old_codecs": [Pickle(keys=[OLD])]}),
            ({"codec": Encrypted(JSON, keys=[OLD])}, {"codec": Encrypted(Compressed(JSON), keys=[NEW, OLD])}),
            ({"codec": LITERAL}, {"task_codec": "messagepack", "old_codecs": [LITERAL]}),
            ({"task_codec": Pickle(keys=[OLD])}, {"task_codec": Encrypted(Pickle(keys=[OLD]), keys=[NEW])}),
        ],
        ids=lambda options: repr(options)[:60],
    )
    def test_jobs_and_results_of_before_are_read_after(
        self, dock: Dock, before: dict[str, Any], after: dict[str, Any]
    ) -> None:
        old, new = dock.program(**before), dock.program(**after)
        done, waiting = enqueued(old), enqueued(old, delay=60)
        work(old)
        assert new.job(done.id).result() == Path("a")
        dock.clock.advance(60)
        work(new)
        assert new.job(waiting.id).result() == Path("a")
        assert stored(new, waiting).codec == stored(new, done).codec


def test_a_file_keeps_jobs_and_results_of_every_codec(tmp_path: Path, clock: ManualClock) -> None:
    dock = Dock(f"sqlite:///{tmp_path}/jobs.db", clock)
    with dock.program(old_codecs=EVERY_CODEC) as reader:
        for codec in EVERY_CODEC:
            with dock.program(codec=codec) as writer:
                enqueued(writer, id=f"done.{codec.name}")
                work(writer)
                enqueued(writer, id=f"left.{codec.name}", delay=60)
        clock.advance(60)
        work(reader)
        results = {job.id: (job.codec, reader.job(job.id).result(timeout=0)) for job in reader.store.each()}
    assert results == {f"{when}.{name}": (name, Path("a")) for name in NAMES for when in ("done", "left")}


class TestUnreadable:
    def failed_once(self, app: Longshore, job: Job[Any], error: str) -> None:
        work(app)
        info = job.info()
        assert (info.state, info.attempt) == (State.PENDING, 1)
        assert info.error is not None
        assert error in info.error
        assert stored(app, job).due - app.store.now() >= 30 * SECOND

    @pytest.mark.parametrize("codec", [LITERAL, Pickle(keys=[OLD]), Encrypted(JSON, keys=[OLD])], ids=repr)
    def test_a_job_in_an_unknown_codec_waits_for_a_program_that_knows_it(self, dock: Dock, codec: Codec[Any]) -> None:
        knowing, ignorant = dock.program(codec=codec), dock.program()
        job = enqueued(knowing)
        self.failed_once(ignorant, job, f"UnknownCodec: no codec is known as '{codec.name}'")
        dock.clock.advance(3_600)
        work(knowing)
        assert job.result() == Path("a")
        with pytest.raises(UnknownCodec):
            ignorant.job(job.id).result()

    @pytest.mark.parametrize("codec", [Pickle(keys=[OLD]), Encrypted(JSON, keys=[OLD])], ids=repr)
    def test_a_job_with_a_changed_payload_is_kept_and_not_run(self, dock: Dock, codec: Codec[Any]) -> None:
        app = dock.program(codec=codec)
        job = enqueued(app)
        payload = stored(app, job).payload
        app.store.update([Change(job.id, None, {"payload": payload[:-1] + b"?"})])
        self.failed_once(app, job, "Tampered: expected")

    @pytest.mark.parametrize("options", [{}, {"codec": Pickle(keys=[OLD])}], ids=["off", "on"])
    def test_a_pickle_of_somebody_else_is_never_loaded(self, dock: Dock, options: dict[str, Any]) -> None:
        app = dock.program(**options)
        job = enqueued(app)
        bomb = Pickle(keys=[NEW]).encode({"path": Bomb()})
        app.store.update([Change(job.id, None, {"payload": bomb, "codec": "pickle"})])
        self.failed_once(app, job, "Tampered" if options else "UnknownCodec")

    def test_arguments_that_no_longer_fit_are_told_by_a_codec_that_keeps_types_too(self, dock: Dock) -> None:
        app = dock.program(codec=Pickle(keys=[OLD]))
        job = enqueued(app)
        for value, error in (({"road": Path("a")}, "road"), ([1], "expected arguments by name, got a list")):
            app.store.update([Change(job.id, None, {"payload": Pickle(keys=[OLD]).encode(value), "attempt": 0})])
            self.failed_once(app, job, error)
            dock.clock.advance(3_600)


class TestRepeated:
    @pytest.mark.parametrize("codec", EVERY_CODEC, ids=NAMES)
    def test_the_same_call_under_its_id_is_known_again_and_another_is_not(self, dock: Dock, codec: Codec[Any]) -> None:
        app = dock.program(codec=codec)
        first = enqueued(app, id="one")
        assert enqueued(app, id="one") == first
        with pytest.raises(IdConflict):
            enqueued(app, "x/y", id="one")

    def test_a_digest_of_an_encrypted_call_is_not_that_of_the_plain_one(self, dock: Dock) -> None:
        plain, secret = dock.program(), dock.program(codec=Encrypted(JSON, keys=[OLD]))
        assert stored(plain, enqueued(plain)).digest != stored(plain, enqueued(secret)).digest


class TestPickle:
    def test_arguments_and_results_need_no_annotation(self, dock: Dock) -> None:
        app = dock.program()

        @app.task(codec=Compressed(Pickle(keys=[OLD])))
        def mix(some, *others, **named):  # type: ignore[no-untyped-def]
            return {some}, others, named

        job = mix.enqueue(1j, range(3), b"x", key=Path("a"))
        work(app)
        assert job.result() == ({1j}, (range(3), b"x"), {"key": Path("a")})

    def test_what_cannot_be_pickled_is_named(self, dock: Dock) -> None:
        app = dock.program()

        @app.task(codec=Pickle(keys=[OLD]))
        def call(first: Any, function: Any) -> Any:
            return lambda: None

        with pytest.raises(InvalidValue, match=r"call\(\) got 'function' of type function"):
            call.enqueue(1, lambda: None)
        job = call.enqueue(1, print)
        work(app)
        assert job.info().state is State.FAILED
        assert "can be pickled" in (job.info().error or "")
