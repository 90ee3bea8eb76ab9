"""What is erased while somebody else is between two statements of a step is gone for him too."""

from __future__ import annotations

from collections.abc import Callable

from longshore.contract import Write
from longshore_sql.mysql.driver import MySQLDriver

KIND, KEY = "kind", "a"


def test_who_reads_sees_nothing_of_what_was_erased_meanwhile(store: MySQLDriver) -> None:
    store.write([Write(KIND, KEY, b"1")])
    with store._read_once() as step:
        store.write([Write(KIND, KEY, None)])
        assert store._records.read(step, KIND, [KEY], "", 10, None) == []


def test_who_writes_finds_a_free_place(store: MySQLDriver, connect: Callable[..., MySQLDriver]) -> None:
    store.write([Write(KIND, KEY, b"1")])
    with store._write() as step:
        connect().write([Write(KIND, KEY, None)])
        (version,) = store._records.write(step, [Write(KIND, KEY, b"2", version=0)])
    assert [(record.value, record.version) for record in store.read(KIND)] == [(b"2", version)]
