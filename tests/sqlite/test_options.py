"""What URLs and options say, and what is wrong with them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from longshore.contract import Features, NewJob, Where
from longshore.errors import Closed, ConfigurationError
from longshore_sql.sqlite.driver import SQLiteDriver


def pragma(store: SQLiteDriver, name: str) -> object:
    with store._source.writer() as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_file_is_durable_and_read_beside_a_writer_unless_told_otherwise(connect, path: Path) -> None:
    store = connect()
    assert (pragma(store, "journal_mode"), pragma(store, "synchronous")) == ("wal", 2)
    assert store.features == ~Features(0)


@pytest.mark.parametrize(("asked", "durable"), [("NORMAL", False), ("off", False), ("extra", True), ("FULL", True)])
def test_durability_is_promised_only_where_it_is(connect, path: Path, asked: str, durable: bool) -> None:
    store = connect(f"sqlite:///{path}?synchronous={asked}")
    assert (Features.DURABLE in store.features) is durable
    assert (Features.DURABLE in connect(store.target).features) is durable


def test_a_relative_path_is_that_of_the_connect(connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = connect("sqlite:///relative.db")
    store.migrate()
    store.insert([NewJob("a", "queue", "task", b"")])
    monkeypatch.chdir("/")
    assert store.target == f"sqlite:///{tmp_path}/relative.db"
    assert connect(store.target).select(Where()).jobs


def test_options_come_by_the_url_or_by_name_and_go_on_in_the_target(connect, path: Path) -> None:
    one = connect(f"sqlite:///{path}?namespace=jobs&timeout=2.5")
    two = connect(f"sqlite:///{path}", namespace="jobs", timeout=2.5)
    assert one.target == two.target == f"sqlite:///{path}?namespace=jobs&timeout=2.5"
    assert pragma(connect(one.target), "busy_timeout") == 2_500


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory"])
def test_a_store_in_memory_is_another_driver(url: str) -> None:
    with pytest.raises(ConfigurationError, match="memory://"):
        SQLiteDriver.connect(url)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("pool=5", "namespace, synchronous, timeout.*not pool"),
        ("namespace=Jobs", "expected a namespace of a to z"),
        ("namespace=a%3Bb", "expected a namespace of a to z"),
        ("namespace=" + "a" * 32, "at most 31"),
        ("synchronous=maybe", "expected synchronous to be one of FULL"),
        ("timeout=soon", "expected timeout to be a number of seconds"),
        ("timeout=-1", "expected timeout to be a number of seconds"),
        ("timeout=nan", "expected timeout to be a number of seconds"),
    ],
)
def test_a_wrong_option_is_refused_and_the_right_ones_are_named(path: Path, query: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SQLiteDriver.connect(f"sqlite:///{path}?{query}")


def test_a_handle_has_its_own_settings(path: Path) -> None:
    connection = sqlite3.connect(path)
    with pytest.raises(ConfigurationError, match="not synchronous"):
        SQLiteDriver.connect(connection, synchronous="NORMAL")
    connection.close()


@pytest.mark.parametrize(
    ("place", "why"),
    [("missing/store.db", "there is no folder"), ("file/store.db", "is no folder"), (".", "it is a folder")],
)
def test_a_path_that_cannot_be_a_database_is_said_at_once(tmp_path: Path, place: str, why: str) -> None:
    tmp_path.joinpath("file").touch()
    with pytest.raises(ConfigurationError, match="cannot be opened for writing") as caught:
        SQLiteDriver.connect(f"sqlite:///{tmp_path}/{place}")
    assert str(tmp_path) in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="where nobody can write, root neither, is known on Linux")
def test_a_folder_that_nobody_may_write_to_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"/proc/jobs\.db cannot be opened for writing"):
        SQLiteDriver.connect("sqlite:////proc/jobs.db")


def test_a_lock_that_cannot_be_made_is_said_at_once(path: Path) -> None:
    path.with_name("store.db-lock").mkdir()
    with pytest.raises(ConfigurationError, match="must be writable"):
        SQLiteDriver.connect(f"sqlite:///{path}")


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected a URL"):
        SQLiteDriver.connect("jobs.db")


def test_a_closed_driver_says_so(connect) -> None:
    store = connect()
    store.migrate()
    store.close()
    store.close()
    for call in (lambda: store.insert([NewJob("a", "queue", "task", b"")]), lambda: store.select(Where())):
        with pytest.raises(Closed):
            call()
