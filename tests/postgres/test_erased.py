"""What is erased while somebody else is between two statements of a step is gone for him too."""

from __future__ import annotations

from longshore.contract import Write
from postgres.conftest import Connect

KIND, KEY = "kind", "a"


def test_who_began_to_write_before_finds_a_free_place(connect: Connect) -> None:
    store = connect()
    store.migrate()
    store.write([Write(KIND, KEY, b"1")])
    with store._write() as step:
        connect().write([Write(KIND, KEY, None)])
        (version,) = store._records.write(step, [Write(KIND, KEY, b"2", version=0)])
    assert [(record.value, record.version) for record in store.read(KIND)] == [(b"2", version)]
