"""Creating and upgrading the tables of a namespace."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest

from longshore.contract import EVERY, Change, Claim, NewJob, State, Write
from longshore.errors import ConfigurationError, SchemaError
from longshore_sql.mysql.driver import MySQLDriver
from longshore_sql.schema import VERSION
from tests.mariadb.plain import asked


def set_meta(connection: pymysql.Connection[Any], namespace: str, **values: int) -> None:
    for name, value in values.items():
        asked(connection, f"UPDATE {namespace}_meta SET value = %s WHERE name = %s", value, name)
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


def test_texts_are_compared_by_their_bytes_and_not_padded(store, connection, namespace: str) -> None:
    collations = asked(
        connection,
        "SELECT DISTINCT collation_name FROM information_schema.columns WHERE table_schema = DATABASE() "
        "AND table_name IN (%s, %s, %s, %s) AND collation_name IS NOT NULL",
        *(f"{namespace}_{table}" for table in ("job", "parent", "record", "meta")),
    )
    assert collations == (("utf8mb4_nopad_bin",),)


@pytest.mark.parametrize(
    "options", [{"namespace": "Big"}, {"pool_size": "many"}, {"colour": "red"}, {"charset": "latin1"}], ids=str
)
def test_options_of_no_form_are_refused(url: str, options: dict[str, Any]) -> None:
    target = url.partition("?")[0] if "namespace" in options else url
    with pytest.raises(ConfigurationError):
        MySQLDriver.connect(target, **options)


@pytest.mark.parametrize(
    "url",
    [
        "mariadb://user:s3cret@host",
        "mysql+mysqldb://user:s3cret@host/jobs",
        "mariadb://user:s3@cret@host/jobs",
        "mariadb://user:s3cret@host:port/jobs",
    ],
)
def test_urls_of_no_form_are_refused_without_a_word_of_the_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        MySQLDriver.connect(url)
    assert "cret" not in str(caught.value)


def test_options_of_the_library_are_passed_on(connect) -> None:
    store = connect(connect_timeout="3", lock_timeout="2")
    with store._source.lent() as connection:
        assert connection.connect_timeout == 3
        assert asked(connection, "SELECT @@innodb_lock_wait_timeout, @@tx_isolation") == ((2, "READ-COMMITTED"),)
    again = connect(store.target)
    with again._source.lent() as connection:
        assert asked(connection, "SELECT @@innodb_lock_wait_timeout") == ((2,),)


def test_the_largest_payload_and_result_are_stored_and_read(store) -> None:
    """As large as the server's packets allow: in one job, each as large as is promised."""
    largest = b"\xff\x00'\\" * (store.limits.payload // 4)
    store.insert([NewJob("a", "q", "t", largest)])
    store.update([Change("a", State.CANCELLED, fields={"result": largest})])
    (job,) = store.select(EVERY).jobs
    assert (job.payload, job.result) == (largest, largest)
