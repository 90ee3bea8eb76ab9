"""Values as JSON: what an annotation names comes back as it was, and what cannot is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cargo import CARGO, CARGO_NAMES, Color, Level, Point
from longshore.codecs import JsonCodec, is_native
from longshore.errors import ConfigurationError, InvalidValue

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NATIVE_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


class Nothing:
    """What JSON knows nothing of."""

    def __repr__(self) -> str:
        return "nothing"


NOTHING = Nothing()
MOMENTS = st.datetimes(timezones=st.none() | st.just(UTC))


@pytest.mark.parametrize(("kind", "value"), CARGO, ids=CARGO_NAMES)
def test_a_value_comes_back_as_its_annotation_says(kind: Any, value: Any) -> None:
    codec: JsonCodec[Any] = JsonCodec(kind)
    back = codec.decode(codec.encode(value))
    assert back == value
    assert type(back) is type(value)


@given(NATIVE_VALUES)
def test_what_json_knows_comes_back_without_an_annotation(value: object) -> None:
    assert is_native(value)
    codec: JsonCodec[Any] = JsonCodec(Any)
    assert repr(codec.decode(codec.encode(value))) == repr(value)


@dataclass
class Everything:
    moment: datetime
    day: date
    length: timedelta
    identity: UUID
    amount: Decimal
    content: bytes
    words: set[str]
    points: list[Point]
    by_name: dict[str, Level]
    pair: tuple[int, Color]
    perhaps: float | None


@given(
    st.builds(
        Everything,
        moment=MOMENTS,
        amount=st.decimals(allow_nan=False, allow_infinity=False),
        words=st.sets(TEXTS),
        by_name=st.dictionaries(TEXTS, st.sampled_from(Level)),
        perhaps=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_a_dataclass_of_everything_comes_back(value: Everything) -> None:
    codec: JsonCodec[Everything] = JsonCodec(Everything)
    assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize(
    "value",
    [(1,), {1}, b"x", math.nan, math.inf, {1: "a"}, {"a": (1,)}, [b"x"], Path("x"), Color.RED, Level.LOW, NOTHING],
    ids=repr,
)
def test_what_json_would_not_bring_back_is_not_native(value: object) -> None:
    assert not is_native(value)


@pytest.mark.parametrize("value", [NOTHING, 1j, [NOTHING], {"a": {"b": NOTHING}}, "\ud800", range(3)], ids=ascii)
def test_what_has_no_form_in_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidValue, match="expected a value that has a form in JSON"):
        JsonCodec(Any).encode(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidValue):
        JsonCodec(Any).encode(endless)


@pytest.mark.parametrize(
    ("kind", "data", "place"),
    [
        (int, b'"a"', "int"),
        (list[int], b"[1, null]", r"\$\[1\]"),
        (Color, b'"green"', "green"),
        (datetime, b'"yesterday"', "datetime"),
        (dict[str, Path], b'{"a": 1}', "PathLike"),
        (int, b"1 2", "trailing"),
        (int, b"", "truncated"),
        (str, b'"\xff"', "utf-8"),
        (Any, b"[" * 100_000 + b"]" * 100_000, "recursion"),
    ],
    ids=lambda part: str(part)[:20],
)
def test_bytes_that_are_not_of_the_type_are_refused(kind: Any, data: bytes, place: str) -> None:
    with pytest.raises(InvalidValue, match=place):
        JsonCodec(kind).decode(data)


@dataclass
class Cat:
    name: str


@dataclass
class Dog:
    name: str


class Odd(Enum):
    PAIR = (1, 2)


@pytest.mark.parametrize("kind", [Cat | Dog, Odd, Path | int, list[int] | set[int]], ids=str)
def test_a_type_whose_values_could_not_be_told_apart_is_refused_at_once(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected a type that can come back from JSON"):
        JsonCodec(kind)


class TestPydantic:
    def test_a_model_comes_back(self) -> None:
        pydantic = pytest.importorskip("pydantic")
        model = pydantic.create_model("Order", number=(int, ...), placed=(datetime, ...), lines=(list[str], []))
        order = model(number=5, placed=datetime(2026, 1, 1, tzinfo=UTC), lines=["a"])
        for kind, value in ((model, order), (list[model], [order]), (model | None, None), (model | None, order)):
            codec: JsonCodec[Any] = JsonCodec(kind)
            assert codec.decode(codec.encode(value)) == value

    def test_a_model_that_does_not_validate_is_refused(self) -> None:
        pydantic = pytest.importorskip("pydantic")
        model = pydantic.create_model("Order", number=(int, ...))
        with pytest.raises(InvalidValue, match="number"):
            JsonCodec(model).decode(b'{"number": "many"}')
