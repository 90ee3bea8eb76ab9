"""Creating and upgrading the tables of a namespace."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from longshore.contract import NewJob, Where
from longshore.errors import SchemaError
from longshore_sql.migrations import Migration, Versions
from longshore_sql.schema import VERSION, Schema
from longshore_sql.sqlite.dialect import SQLiteDialect
from longshore_sql.sqlite.driver import SQLiteDriver
from longshore_sql.sqlite.sources import FileSource

SCHEMAS = Path(__file__).parent / "schemas"


def tables(path: Path) -> dict[str, str]:
    """All tables and indexes as they were defined."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    connection.close()
    return {name: " ".join(sql.split()) for name, sql in rows}


def set_meta(path: Path, **values: int) -> None:
    with sqlite3.connect(path) as connection:
        for name, value in values.items():
            connection.execute("UPDATE longshore_meta SET value = ? WHERE name = ?", (value, name))
    connection.close()


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_an_old_store_comes_to_the_same_as_a_new_one(path: Path, tmp_path: Path, connect, version: int) -> None:
    """Each version that was released is kept beside this test, as it created its tables."""
    with sqlite3.connect(path) as connection:
        connection.executescript((SCHEMAS / f"{version}.sql").read_text())
    connection.close()
    connect().migrate()
    created = tmp_path / "created.db"
    connect(f"sqlite:///{created}").migrate()
    assert tables(path) == tables(created)


def test_a_store_that_was_not_migrated_is_told_apart(connect) -> None:
    store = connect()
    for call in (lambda: store.insert([NewJob("a", "q", "t", b"")]), lambda: store.select(Where())):
        with pytest.raises(SchemaError, match="run migrate"):
            call()
    store.migrate()
    assert store.select(Where()).jobs == []


def test_a_newer_store_is_used_as_long_as_it_can_be_read(connect, path: Path) -> None:
    connect().migrate()
    set_meta(path, version=VERSION + 1, readable_from=VERSION)
    store = connect()
    store.migrate()
    store.insert([NewJob("a", "q", "t", b"")])
    set_meta(path, readable_from=VERSION + 1)
    for call in (lambda: connect().migrate(), lambda: connect().select(Where())):
        with pytest.raises(SchemaError, match="update the longshore package"):
            call()


def test_a_store_that_is_migrated_by_newer_code_is_not_touched_by_those_who_use_it_already(connect, path: Path) -> None:
    store = connect()
    store.migrate()
    store.insert([NewJob("a", "q", "t", b"")])
    with sqlite3.connect(path) as newer:
        newer.execute("ALTER TABLE longshore_job ADD COLUMN colour TEXT")
    newer.close()
    store.insert([NewJob("b", "q", "t", b"")])  # It can be read as before.
    with sqlite3.connect(path) as newest:
        newest.execute("ALTER TABLE longshore_job ADD COLUMN smell TEXT")
    newest.close()
    set_meta(path, version=VERSION + 2, readable_from=VERSION + 1)
    for call in (lambda: store.insert([NewJob("c", "q", "t", b"")]), lambda: store.select(Where())):
        with pytest.raises(SchemaError, match="update the longshore package"):
            call()


def test_an_older_store_asks_to_be_migrated(connect, path: Path) -> None:
    connect().migrate()
    set_meta(path, version=VERSION - 1)
    with pytest.raises(SchemaError, match="run migrate"):
        connect().select(Where())


def test_only_the_steps_that_lack_are_taken_and_each_is_recorded(path: Path) -> None:
    source = FileSource(str(path), "FULL", 1.0)
    schema, dialect = Schema("longshore"), SQLiteDialect()
    steps = [
        Migration(VERSION, 1, lambda schema, dialect: ["CREATE TABLE never (x)"]),
        Migration(VERSION + 1, 1, lambda schema, dialect: ["CREATE TABLE one (x)"]),
        Migration(VERSION + 2, 2, lambda schema, dialect: [f"CREATE TABLE {schema.namespace}_two (x)"]),
    ]
    with source.writer() as connection:
        cursor = connection.cursor()
        Versions(schema, dialect).create(cursor)
        Versions(schema, dialect, migrations=steps[:2]).upgrade(cursor)
        Versions(schema, dialect, migrations=steps).upgrade(cursor)
        stored = dict(cursor.execute("SELECT name, value FROM longshore_meta"))
    source.close()
    assert {"one", "longshore_two"} <= tables(path).keys()
    assert "never" not in tables(path)
    assert stored == {"version": VERSION + 2, "readable_from": 2, "records": 0}


def test_namespaces_have_tables_of_their_own(connect, path: Path) -> None:
    connect(namespace="one").migrate()
    connect(namespace="two").migrate()
    one = {name.removeprefix("one_") for name in tables(path) if name.startswith("one_")}
    two = {name.removeprefix("two_") for name in tables(path) if name.startswith("two_")}
    assert one == two
    assert {"job", "parent", "attempt", "record", "meta", "ready"} <= one


def test_the_examples_of_a_store_are_released_versions() -> None:
    assert sorted(file.name for file in SCHEMAS.iterdir()) == [f"{number}.sql" for number in range(1, VERSION + 1)]


def test_migrating_is_all_or_nothing(connect, path: Path) -> None:
    """A process that is stopped half-way leaves nothing that the next one stumbles over."""
    driver: SQLiteDriver = connect()

    def check(cursor: object) -> None:
        raise ZeroDivisionError

    driver._versions.check = check
    with pytest.raises(ZeroDivisionError):
        driver.migrate()
    del driver._versions.check
    assert tables(path) == {}
    driver.migrate()
    driver.insert([NewJob("a", "q", "t", b"")])


def test_many_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    """SQLite itself fails where two change the mode of the journal at the same time."""
    for number in range(4):
        gate, starter = os.pipe()
        children = []
        for _ in range(6):
            child = os.fork()
            if child == 0:
                ended = 1
                try:
                    os.close(starter)
                    os.read(gate, 1)
                    SQLiteDriver.connect(f"sqlite:///{tmp_path}/{number}.db").migrate()
                    ended = 0
                finally:
                    os._exit(ended)
            children.append(child)
        os.close(starter)
        os.close(gate)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
