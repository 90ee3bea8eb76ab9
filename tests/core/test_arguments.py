"""Arguments of a task: whatever Python's call takes, stored and given back; whatever it does not is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cargo import CARGO, CARGO_NAMES, Color
from longshore.calls.arguments import Arguments
from longshore.errors import ConfigurationError, InvalidValue


def nothing() -> Any:
    return ()


def plain(a: int, b: int) -> Any:
    return a, b


def defaults(a: int, b: int = 10, c: int = 20) -> Any:
    return a, b, c


def positional_only(a: int, b: int = 10, /, c: int = 20) -> Any:
    return a, b, c


def keyword_only(a: int, *, b: int, c: int = 20) -> Any:
    return a, b, c


def variadic(a: int, b: int = 10, *rest: int) -> Any:
    return a, b, rest


def everything(p: int, q: int = 10, /, c: int = 20, *rest: int, d: int = 30, **more: int) -> Any:
    return p, q, c, rest, d, more


def unannotated(a, b=10, *rest, **more):  # type: ignore[no-untyped-def]
    return a, b, rest, more


FUNCTIONS = [nothing, plain, defaults, positional_only, keyword_only, variadic, everything, unannotated]


def stored_call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What the function gives when it is called with arguments that were stored."""
    arguments = Arguments(function)
    given, named = arguments.decode(arguments.encode(args, kwargs))
    return function(*given, **named)


def stored(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What is stored of a call, as JSON."""
    return json.loads(Arguments(function).encode(args, kwargs))


@given(
    st.sampled_from(FUNCTIONS),
    st.lists(st.integers(), max_size=5),
    st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e", "rest", "more"]), st.integers(), max_size=4),
)
def test_a_stored_call_is_the_call(function: Callable[..., Any], args: list[int], kwargs: dict[str, int]) -> None:
    try:
        expected = function(*args, **kwargs)
    except TypeError:
        with pytest.raises(InvalidValue, match=function.__name__):
            stored_call(function, *args, **kwargs)
    else:
        assert stored_call(function, *args, **kwargs) == expected


@pytest.mark.parametrize(("kind", "value"), CARGO, ids=CARGO_NAMES)
def test_an_argument_comes_back_as_its_annotation_says_with_and_without_a_default(kind: Any, value: Any) -> None:
    def required(thing):  # type: ignore[no-untyped-def]
        return thing

    def optional(*, thing=None):  # type: ignore[no-untyped-def]
        return thing

    required.__annotations__ = optional.__annotations__ = {"thing": kind}
    assert stored_call(required, value) == value
    assert stored_call(optional, thing=value) == value


def test_arguments_are_stored_by_name() -> None:
    assert stored(plain, 1, b=2) == {"a": 1, "b": 2}
    assert stored(everything, 1, 2, 3, 4, 5, d=6, e=7) == {
        "p": 1,
        "q": 2,
        "c": 3,
        "rest": [4, 5],
        "d": 6,
        "more": {"e": 7},
    }


def test_a_default_is_not_stored_so_that_a_new_one_holds_for_jobs_that_wait() -> None:
    payload = Arguments(defaults).encode((1,), {})
    assert json.loads(payload) == {"a": 1}

    def changed(a: int, b: int = 99, c: int = 20) -> Any:
        return a, b, c

    args, kwargs = Arguments(changed).decode(payload)
    assert changed(*args, **kwargs) == (1, 99, 20)


def test_an_argument_equal_to_the_default_is_stored() -> None:
    assert stored(defaults, 1, 10) == {"a": 1, "b": 10}


def test_a_default_in_the_middle_may_be_left_out() -> None:
    assert stored_call(defaults, 1, c=3) == (1, 10, 3)


def test_a_default_that_json_does_not_know_is_given_as_it_is() -> None:
    marker = object()

    def function(a: int, b: object = marker) -> Any:
        return b

    assert stored_call(function, 1) is marker


class TestChangedSignature:
    """Stored by one version of the program, run by another."""

    payload = Arguments(defaults).encode((1, 2), {})

    def decoded(self, function: Callable[..., Any]) -> Any:
        args, kwargs = Arguments(function).decode(self.payload)
        return function(*args, **kwargs)

    def test_parameters_may_change_places(self) -> None:
        def newer(b: int, a: int) -> Any:
            return {"a": a, "b": b}

        assert self.decoded(newer) == {"a": 1, "b": 2}

    def test_parameters_may_become_keyword_only(self) -> None:
        def newer(*, a: int, b: int) -> Any:
            return a, b

        assert self.decoded(newer) == (1, 2)

    def test_a_parameter_with_a_default_may_be_added_before_the_rest(self) -> None:
        def older(a: int, *rest: int) -> Any:
            return a, rest

        def newer(a: int, added: int = 7, *rest: int) -> Any:
            return a, added, rest

        args, kwargs = Arguments(newer).decode(Arguments(older).encode((1, 2, 3), {}))
        assert newer(*args, **kwargs) == (1, 7, (2, 3))

    def test_a_parameter_without_a_default_that_was_added_is_named(self) -> None:
        def newer(a: int, b: int, added: str) -> None: ...

        with pytest.raises(InvalidValue, match="added"):
            self.decoded(newer)

    def test_a_parameter_that_was_removed_is_named(self) -> None:
        def newer(a: int) -> None: ...

        with pytest.raises(InvalidValue, match="'b', which it does not know"):
            self.decoded(newer)

    def test_a_parameter_of_another_type_is_named(self) -> None:
        def newer(a: int, b: str) -> None: ...

        with pytest.raises(InvalidValue, match="'b': expected"):
            self.decoded(newer)


def paths(source: Path, target: Path | None = None) -> None: ...


def loose(value, other=None):  # type: ignore[no-untyped-def]
    ...


def many(*names: str, **sizes: int) -> None: ...


def colored(color: Color, at: datetime | None = None) -> None: ...


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "named"),
    [
        (paths, (), {}, "source"),
        (paths, (Path("a"),), {"targt": Path("b")}, "targt"),
        (paths, (Path("a"), Path("b"), Path("c")), {}, "paths"),
        (paths, (5,), {}, "source"),
        (paths, (Path("a"),), {"target": object()}, "target"),
        (paths, (Path("a\udcff"),), {}, "source"),
        (loose, (Path("a"),), {}, "'value'"),
        (loose, ((1, 2),), {}, "'value'"),
        (loose, (float("nan"),), {}, "'value'"),
        (loose, (1,), {"other": {"a": b"x"}}, "'other'"),
        (loose, (1,), {"other": Color.RED}, "'other'"),
        (many, ("a", 5), {}, "names"),
        (many, (), {"a": "b"}, "sizes"),
        (colored, ("red!",), {}, "color"),
        (colored, (None,), {}, "color"),
        (colored, (Color.RED,), {"at": 5}, "at"),
    ],
)
def test_a_wrong_use_is_refused_when_it_is_enqueued_and_names_the_parameter(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        Arguments(function).encode(args, kwargs)
    assert named in str(caught.value)
    assert function.__name__ in str(caught.value)


def test_a_value_without_an_annotation_says_what_to_do() -> None:
    with pytest.raises(InvalidValue, match="annotate the parameter with its type, or pass a JSON value"):
        Arguments(loose).encode((b"x",), {})


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'{"a": 1, "b": 2', b"null"])
def test_a_payload_that_is_no_object_of_arguments_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidValue):
        Arguments(plain).decode(payload)


@dataclass
class Cat:
    name: str


@dataclass
class Dog:
    name: str


def test_an_annotation_that_cannot_come_back_is_refused_at_once_and_named() -> None:
    def pet(count: int, animal: Cat | Dog) -> None: ...

    with pytest.raises(ConfigurationError, match=r"the annotation of 'animal' of .*pet\(\)"):
        Arguments(pet)


def test_an_annotation_that_names_nothing_is_refused_at_once() -> None:
    def pet(animal: Giraffe) -> None:  # type: ignore[name-defined]  # noqa: F821
        ...

    with pytest.raises(ConfigurationError, match="Giraffe"):
        Arguments(pet)


def test_parameters_may_be_called_anything() -> None:
    def function(_self: int, type: int, id: int, field: int, kwargs: int) -> Any:
        return _self, type, id, field, kwargs

    assert stored_call(function, 1, 2, id=3, field=4, kwargs=5) == (1, 2, 3, 4, 5)
