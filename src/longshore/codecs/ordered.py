"""Values as they are encoded the same in every process: the members of a set have no order of their own, and stand in
another one wherever texts are hashed with another seed."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

import msgspec
from msgspec import Struct, inspect

from longshore.codecs.codec import simplify

_encode = msgspec.json.Encoder(enc_hook=simplify, order="deterministic").encode


def in_order(value: Any) -> Any:
    """The value, with a list in place of each set in it, whose members stand in order; encoded it is of the same form.

    What holds none is given as it is.
    """
    if isinstance(value, (set, frozenset)):
        return _sorted(map(in_order, value))
    if isinstance(value, Mapping):
        return _if_changed(value, {key: in_order(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return _if_changed(value, _like(value, map(in_order, value)))
    if hasattr(value, "model_dump"):
        return _dumped_in_order(value)
    if isinstance(value, Struct):
        return _with(value, value.__struct_fields__, msgspec.structs.force_setattr)
    names = _field_names(value)
    return _with(value, names, object.__setattr__) if names else value


def may_hold_sets(kind: Any) -> bool:
    """Whether a value of the type may hold a set, as far as its annotations tell."""
    seen: set[int] = set()
    nodes: list[Any] = [inspect.type_info(kind)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, (inspect.SetType, inspect.FrozenSetType, inspect.AnyType)):
            return True
        if isinstance(node, inspect.CustomType) and not issubclass(node.cls, PurePath):
            return True
        if isinstance(node, Struct) and id(node) not in seen:
            seen.add(id(node))
            nodes.extend(getattr(node, name) for name in node.__struct_fields__)
        elif isinstance(node, tuple):
            nodes.extend(node)
    return False


def _sorted(members: Iterable[Any]) -> list[Any]:
    return sorted(members, key=_key)


def _key(member: Any) -> bytes:
    try:
        return _encode(member)
    except (TypeError, NotImplementedError, ValueError, OverflowError):
        return repr(member).encode()  # It has no form in JSON, but in another codec it may.


def _if_changed(value: Any, ordered: Any) -> Any:
    before, after = (value.values(), ordered.values()) if isinstance(value, Mapping) else (value, ordered)
    return ordered if any(one is not other for one, other in zip(before, after, strict=True)) else value


def _like(value: list[Any] | tuple[Any, ...], items: Iterable[Any]) -> Any:
    if isinstance(value, list):
        return list(items)
    make = getattr(type(value), "_make", tuple)  # That of a named tuple.
    return make(items)


def _with(value: Any, names: Iterable[str], set_field: Any) -> Any:
    fields = {name: getattr(value, name, None) for name in names}
    changed = {name: ordered for name, item in fields.items() if (ordered := in_order(item)) is not item}
    if not changed:
        return value
    again = copy.copy(value)
    for name, ordered in changed.items():
        # As they are: no `__post_init__` is to check again what has passed, nor to find a list where a set was.
        set_field(again, name, ordered)
    return again


def _field_names(value: Any) -> list[str]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [field.name for field in dataclasses.fields(value)]
    return [field.name for field in getattr(type(value), "__attrs_attrs__", ())]


def _dumped_in_order(model: Any) -> Any:
    """A pydantic model in its form for JSON, in which its sets are lists in the order that they have in memory."""
    dumped = model.model_dump(mode="json")
    try:
        return _aligned(model.model_dump(mode="python"), dumped)
    except TypeError:
        return dumped  # A set of models has no form in memory that could be compared.


def _aligned(shape: Any, dumped: Any) -> Any:
    if isinstance(shape, (set, frozenset)):
        return _sorted(map(_aligned, shape, dumped))
    if isinstance(shape, Mapping):
        pairs = zip(shape.values(), dumped.items(), strict=True)
        return {key: _aligned(part, item) for part, (key, item) in pairs}
    if isinstance(shape, (list, tuple)) and isinstance(dumped, list):
        return list(map(_aligned, shape, dumped))
    return dumped
