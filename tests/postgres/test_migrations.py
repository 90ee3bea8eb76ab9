"""Creating and upgrading the tables of a namespace."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from longshore.contract import EVERY, Claim, NewJob, Write
from longshore.errors import ConfigurationError, SchemaError
from longshore_sql.postgres.driver import PostgresDriver
from longshore_sql.postgres.migrating import Migrating
from longshore_sql.schema import VERSION


def set_meta(connection: psycopg.Connection[Any], namespace: str, **values: int) -> None:
    for name, value in values.items():
        connection.execute(f"UPDATE {namespace}_meta SET value = %s WHERE name = %s", (value, name))
    connection.commit()


def test_a_store_that_was_not_migrated_is_told_apart(connect) -> None:
    store = connect()
    calls = (
        lambda: store.insert([NewJob("a", "q", "t", b"")]),
        lambda: store.select(EVERY),
        lambda: store.write([Write("kind", "key", b"1")]),
    )
    for call in calls:
        with pytest.raises(SchemaError, match="run migrate"):
            call()
    store.migrate()
    assert store.select(EVERY).jobs == []


def test_a_newer_store_is_used_as_long_as_it_can_be_read(store, connection, namespace: str) -> None:
    set_meta(connection, namespace, version=VERSION + 1, readable_from=VERSION)
    store.insert([NewJob("a", "q", "t", b"")])
    assert [job.id for job in store.claim([Claim(queues=("q",))], holder="h", limit=1).jobs] == ["a"]
    store.migrate()


def test_a_process_notices_at_once_that_it_cannot_read_the_store_any_more(store, connection, namespace: str) -> None:
    store.insert([NewJob("a", "q", "t", b"")])
    set_meta(connection, namespace, version=VERSION + 1, readable_from=VERSION + 1)
    with pytest.raises(SchemaError, match="update the longshore package"):
        store.claim([Claim(queues=("q",))], holder="h", limit=1)
    with pytest.raises(SchemaError, match="update the longshore package"):
        store.migrate()
    set_meta(connection, namespace, version=VERSION, readable_from=VERSION)
    assert len(store.select(EVERY).jobs) == 1


def test_a_schema_of_its_own(connect, namespace: str, connection) -> None:
    inside, outside = connect(schema=f"s{namespace}"), connect()
    inside.migrate()
    outside.migrate()
    inside.insert([NewJob("a", "q", "t", b"")])
    inside.write([Write("kind", "key", b"1")])
    assert outside.select(EVERY).jobs == []
    assert outside.read("kind") == []
    assert [job.id for job in inside.select(EVERY).jobs] == ["a"]
    found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = %s", (f"s{namespace}",)).fetchone()
    assert found == (5,)
    again = PostgresDriver.connect(inside.target)
    assert [job.id for job in again.select(EVERY).jobs] == ["a"]
    again.close()


@pytest.mark.parametrize(
    "options",
    [{"schema": "a b"}, {"schema": 'x"; DROP'}, {"namespace": "Big"}, {"pool_size": "many"}, {"colour": "red"}],
    ids=str,
)
def test_options_of_no_form_are_refused(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        PostgresDriver.connect(url, **options)


def test_options_of_libpq_are_passed_on(connect) -> None:
    store = connect(application_name="harbour")
    with store._source.lent() as connection:
        assert connection.info.get_parameters()["application_name"] == "harbour"


def test_who_waited_for_another_to_create_the_tables_sees_them(connect) -> None:
    """Also where his transaction had begun before, and had found none."""
    one, other = connect(), connect()
    migrating = Migrating(other._source, other._schema, other._dialect, other._versions, "name", 1.0)
    with other._source.lent() as connection:
        cursor = connection.cursor()
        assert not migrating._exists(cursor)
        with connection.transaction():
            cursor.execute("SELECT 1")
            one.migrate()
            assert migrating._exists(cursor)
