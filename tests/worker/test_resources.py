"""What tasks work with: given once, fetched by type, opened by each process for itself."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from longshore import Context, Longshore, Retry, State
from longshore.errors import ConfigurationError, MissingResource

ONCE = Retry(max_attempts=1)


class Settings:
    def __init__(self, harbour: str) -> None:
        self.harbour = harbour


class Store(ABC):
    @abstractmethod
    def name(self) -> str: ...


class FileStore(Store):
    def name(self) -> str:
        return "file"


class Pool:
    """Something to be opened and closed, which tells when."""

    def __init__(self, log: list[str], name: str = "pool") -> None:
        self.log, self.name = log, name
        self.process = os.getpid()

    def __enter__(self) -> Pool:
        self.log.append(f"{self.name} opened")
        return self

    def __exit__(self, *_: object) -> None:
        self.log.append(f"{self.name} closed")


class Cache(Pool):
    pass


def test_tasks_fetch_by_type_what_was_given_once(app: Longshore) -> None:
    settings, log = Settings("Bremen"), []
    app.resources.add(settings)
    app.resources.add(FileStore(), kind=Store)  # type: ignore[type-abstract]
    app.resources.manage(Pool, lambda: Pool(log))

    @app.task
    def in_a_thread(context: Context) -> list[str]:
        assert context.resource(Settings) is settings
        return [context.resource(Store).name(), context.resource(Pool).name]  # type: ignore[type-abstract]

    @app.task
    async def on_the_loop(context: Context) -> bool:
        return context.resource(Settings) is settings and context.resource(Pool) is context.resource(Pool)

    jobs: list[Any] = [in_a_thread.enqueue(), on_the_loop.enqueue()]
    app.worker().run(until_empty=True)
    assert [job.result(timeout=5) for job in jobs] == [["file", "pool"], True]
    assert log == ["pool opened", "pool closed"]


def test_a_missing_one_is_an_error_that_says_what_is_there(app: Longshore) -> None:
    app.resources.add(Settings("Bremen"))
    app.resources.manage(Cache, lambda: Cache([]))

    @app.task(retry=ONCE)
    def miss(context: Context) -> None:
        context.resource(Pool)

    job = miss.enqueue()
    app.worker().run(until_empty=True)
    assert job.info().state is State.FAILED
    expected = "MissingResource: no resource of the type Pool was given to the application; there are: Cache, Settings."
    assert (job.info().error or "").startswith(expected)
    with pytest.raises(MissingResource, match="there are: none"):
        Longshore("memory://").resources.of(Pool)
    with pytest.raises(MissingResource, match="Pool"):
        app.resources.remove(Pool)


def test_there_is_one_of_a_type(app: Longshore) -> None:
    app.resources.add(Settings("Bremen"))
    app.resources.manage(Pool, lambda: Pool([]))
    for add in (
        lambda: app.resources.add(Settings("Emden")),
        lambda: app.resources.manage(Settings, lambda: Pool([])),  # type: ignore[arg-type]
        lambda: app.resources.add(Pool([])),
    ):
        with pytest.raises(ConfigurationError, match="already"):
            add()
    app.resources.remove(Settings)
    app.resources.add(Settings("Emden"))
    assert app.resources.of(Settings).harbour == "Emden"


def test_they_are_opened_when_the_first_worker_starts_and_closed_when_the_last_has_stopped(app: Longshore) -> None:
    log: list[str] = []

    @contextmanager
    def open_cache() -> Iterator[Cache]:
        with Cache(log, f"cache on {app.resources.of(Pool).name}") as cache:
            yield cache

    app.resources.manage(Cache, open_cache)
    app.resources.manage(Pool, lambda: Pool(log))
    first, second = app.worker(), app.worker()
    first.start()
    assert log == ["pool opened", "cache on pool opened"], "before there is a job that asks"
    second.start()
    first.stop()
    assert len(log) == 2
    second.stop()
    assert log[2:] == ["cache on pool closed", "pool closed"]
    with app.worker():
        assert len(log) == 6, "opened anew"
    assert len(log) == 8


def test_one_that_cannot_be_opened_keeps_the_worker_from_starting(app: Longshore) -> None:
    log: list[str] = []

    def fail() -> AbstractContextManager[Cache]:
        raise OSError("no cache today")

    app.resources.manage(Pool, lambda: Pool(log))
    app.resources.manage(Cache, fail)
    with pytest.raises(OSError, match="no cache today"):
        app.worker().start()
    assert log == ["pool opened", "pool closed"]
    assert not app.admin.workers()


def test_what_opens_one_must_give_a_context_manager(app: Longshore) -> None:
    app.resources.manage(Settings, lambda: Settings("Bremen"))  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigurationError, match=r"Settings must give a context manager.*contextlib\.closing"):
        app.worker().start()


def test_one_that_cannot_be_closed_is_logged(app: Longshore, caplog: pytest.LogCaptureFixture) -> None:
    @contextmanager
    def open_pool() -> Iterator[Pool]:
        yield Pool([])
        raise OSError("the pool is gone")

    app.resources.manage(Pool, open_pool)
    with app.worker():
        pass
    assert "the pool is gone" in caplog.text


def test_outside_of_a_worker_one_is_opened_when_asked_for_and_closed_with_the_application(app: Longshore) -> None:
    log: list[str] = []
    app.resources.manage(Pool, lambda: Pool(log))

    @app.task
    def ask(context: Context) -> str:
        return context.resource(Pool).name

    assert app.admin.run_here(ask.enqueue().id) == "pool"
    assert log == ["pool opened"]
    app.close()
    assert log == ["pool opened", "pool closed"]


def test_many_threads_that_ask_at_once_get_the_same(app: Longshore) -> None:
    log: list[str] = []
    app.resources.manage(Pool, lambda: Pool(log))
    together = threading.Barrier(8)
    found: list[Pool] = []

    def ask() -> None:
        together.wait(10)
        found.append(app.resources.of(Pool))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log == ["pool opened"]
    assert {id(pool) for pool in found} == {id(found[0])}
