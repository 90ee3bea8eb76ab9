"""Lists as the server reads them."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from longshore.contract import State
from longshore_sql.postgres.arrays import array_text

SIGNS = ['a"b', "a\\b", '\\"', "{a,b}", "", " ", "NULL", "null", "é\n\t'", "\\x61", "\x01", "😀"]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", []),
        ("text", ["a"]),
        ("text", ["plain", "words"]),
        ("text", SIGNS),
        *(("text", ["x", sign]) for sign in SIGNS),
        ("text", [None, *SIGNS, None]),
        ("bigint", [0, -1, 2**62]),
        ("bigint", [None, 5]),
        ("smallint", [State.RUNNING, State.FAILED]),
        ("bytea", [b"", b"\0\xff\\x", b'"{}']),
        ("bytea", [bytearray(b"\0a"), b"b"]),
        ("bytea", [None, b"\0"]),
    ],
)
def test_the_server_reads_what_was_listed(connection: psycopg.Connection[Any], kind: str, values: list[Any]) -> None:
    found = connection.execute(f"SELECT ARRAY(SELECT unnest(%s::{kind}[]))", (array_text(values),)).fetchone()
    assert found == (values,)
