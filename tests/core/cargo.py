"""Types that jobs carry, one of each kind that comes back as it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID

from msgspec import Struct


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: int
    y: int = 0


class Address(TypedDict):
    street: str
    number: int


class Stat(Struct, frozen=True):
    size: int
    digest: bytes


@dataclass(frozen=True)
class Crate:
    label: str
    weight: Decimal
    packed: datetime
    colors: frozenset[Color] = frozenset()
    inside: list[Crate] = field(default_factory=list)


PACKED = datetime(2026, 3, 29, 2, 30, 15, 123456, tzinfo=UTC)
CARGO: list[tuple[Any, Any]] = [
    (int, -(2**70)),
    (float, 0.1),
    (float, 3.0),
    (str, "Käse \U0001f600 \0 \n"),
    (bool, True),
    (None, None),
    (bytes, bytes(range(256))),
    (datetime, PACKED),
    (datetime, PACKED.replace(tzinfo=None)),
    (datetime, datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))),
    (date, date(2026, 2, 28)),
    (time, time(23, 59, 59, 999999)),
    (timedelta, timedelta(days=-3, microseconds=1)),
    (UUID, UUID("0198a1b2-0000-7000-8000-00000000002a")),
    (Decimal, Decimal("-12.3400")),
    (Path, Path("some/file.txt")),
    (PurePosixPath, PurePosixPath("/a/b")),
    (Color, Color.BLUE),
    (Level, Level.HIGH),
    (Literal["a", "b"], "b"),
    (list[Path], [Path("a"), Path("b/c")]),
    (dict[str, Color], {"sky": Color.BLUE}),
    (dict[int, list[UUID]], {7: [UUID(int=1)]}),
    (set[int], {3, 1, 2}),
    (frozenset[str], frozenset({"a", "b"})),
    (tuple[int, ...], (1, 2, 3)),
    (tuple[str, int, bytes], ("a", 1, b"\xff")),
    (Point, Point(1, 2)),
    (list[Point], [Point(1), Point(2, 3)]),
    (Address, {"street": "Quay", "number": 5}),
    (Stat, Stat(5, b"\0\1")),
    (Crate, Crate("a", Decimal("1.50"), PACKED, frozenset({Color.RED}), [Crate("b", Decimal(2), PACKED)])),
    (datetime | None, None),
    (datetime | None, PACKED),
    (Path | None, Path("x")),
    (int | str | None, "1"),
    (int | str | None, 1),
    (Crate | int, 5),
    (Any, {"a": [1, 2.5, None, "x", True]}),
]
"""A type, and a value of it that JSON alone would not bring back."""

CARGO_NAMES = [f"{number} {kind}" for number, (kind, _) in enumerate(CARGO)]
