"""The same call is the same bytes in every process, whatever order its sets have there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest

from longshore.codecs import JSON, MESSAGEPACK
from longshore.codecs.json import canonical
from longshore.codecs.ordered import in_order, may_hold_sets

PROGRAM = Path(__file__).with_name("enqueues_sets.py")


def enqueue(url: str, hash_seed: int, *words: str) -> tuple[str, list[str]]:
    """What a process of its own says: the order that a set has there, and its jobs, one for each codec."""
    finished = subprocess.run(
        [sys.executable, str(PROGRAM), url, *words],
        env={"PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    order, *jobs = finished.stdout.splitlines()
    return order, jobs


def test_a_repeat_is_known_in_another_process_that_hashes_otherwise(shared_target: str) -> None:
    words = ["anchor", "buoy", "crane", "dock", "eel", "fender"]
    (order, jobs), *others = (enqueue(shared_target, seed, *words) for seed in (1, 2, 3))
    assert jobs == ["json", "messagepack", "pickle", "encrypted"]
    assert any(other != order for other, _ in others), "all processes had their sets in one order"
    assert [repeated for _, repeated in others] == [jobs, jobs]
    assert enqueue(shared_target, 1, *words[1:])[1] == ["IdConflict"] * 4, "another call"


class Colour(Enum):
    RED = "r"
    BLUE = "b"


class Pair(NamedTuple):
    left: frozenset[str]
    right: int = 0


class Crate(msgspec.Struct, frozen=True, rename="camel"):
    of_what: frozenset[Colour]
    number: int = 1


@dataclass(frozen=True)
class Hold:
    crates: frozenset[Crate]
    name: str = "a"
    known: Mapping[str, list[frozenset[int]]] = field(default_factory=dict)


class Ship(pydantic.BaseModel):
    flags: set[str]
    data: bytes = b""


class Flag(pydantic.BaseModel, frozen=True):
    name: str


class Fleet(pydantic.BaseModel):
    flags: set[Flag]


COLOURS = frozenset(Colour)


FULL = Hold(frozenset({Crate(COLOURS, 2), Crate(COLOURS, 1)}), known={"k": [frozenset({2, 1})]})
CASES: dict[str, tuple[Any, Any]] = {
    "set": ({"b", "a"}, ["a", "b"]),
    "below": ([1, {"k": {3, 1, 2}}], [1, {"k": [1, 2, 3]}]),
    "enums": ({Colour.RED, Colour.BLUE}, ["b", "r"]),
    "mixed": ({"a", 1, None}, ["a", 1, None]),
    "paths": ({Path("b"), Path("a")}, ["a", "b"]),
    "sets of sets": (frozenset({frozenset("dc"), frozenset("ba")}), [["a", "b"], ["c", "d"]]),
    "named tuple": (Pair(frozenset("ba")), [["a", "b"], 0]),
    "struct": (Crate(COLOURS), {"number": 1, "ofWhat": ["b", "r"]}),
    "dataclass": (
        FULL,
        {
            "crates": [{"number": 1, "ofWhat": ["b", "r"]}, {"number": 2, "ofWhat": ["b", "r"]}],
            "known": {"k": [[1, 2]]},
            "name": "a",
        },
    ),
    "model": (Ship(flags={"b", "a"}, data=b"x"), {"data": "x", "flags": ["a", "b"]}),
}


@pytest.mark.parametrize("case", CASES)
def test_members_of_sets_stand_in_order_wherever_they_are(case: str) -> None:
    value, expected = CASES[case]
    assert msgspec.json.decode(canonical(value)) == expected


@pytest.mark.parametrize("codec", [JSON, MESSAGEPACK], ids=["json", "messagepack"])
@pytest.mark.parametrize("case", ["dataclass", "model", "named tuple"])
def test_what_is_in_order_comes_back_as_it_was(codec: Any, case: str) -> None:
    value, _ = CASES[case]
    typed = codec.of(type(value))
    assert typed.decode(typed.encode(in_order(value))) == value


def test_what_holds_no_set_is_given_as_it_is_and_what_does_is_left_as_it_was() -> None:
    for value in ([1, {"a": (2,)}], Pair(frozenset())[1:], Hold, 5, {"a": [Path("b")]}):
        assert in_order(value) is value
    crate = Crate(COLOURS)
    in_order(crate)
    assert crate == Crate(COLOURS)


def test_a_set_of_models_still_has_a_form() -> None:
    (flag,) = msgspec.json.decode(canonical(Fleet(flags={Flag(name="a")})))["flags"]
    assert flag == {"name": "a"}


@dataclass
class Node:
    below: list[Node]


@pytest.mark.parametrize(
    ("kind", "may"),
    [
        (int, False),
        (Path, False),
        (dict[str, list[int]], False),
        (Node, False),
        (set[int], True),
        (list[frozenset[int]], True),
        (dict[str, tuple[set[int], ...]], True),
        (int | set[str], True),
        (Hold, True),
        (Crate, True),
        (Ship, True),
        (Any, True),
    ],
    ids=str,
)
def test_only_types_that_may_hold_sets_cost_anything(kind: Any, may: bool) -> None:
    assert may_hold_sets(kind) is may
