"""Jobs and records as lines of JSON: the format of dumps (docs/moving.md says it in words)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import fields

from longshore.contract import IfParentFails, State, StoredJob, UniqueScope, Write
from longshore.errors import InvalidValue

T = TypeVar("T")
FORMAT: Final = 1
_ENUMS: Final = {"state": State, "unique_scope": UniqueScope, "if_parent_fails": IfParentFails}
_BYTES: Final = frozenset({"payload", "digest", "cursor", "result"})
_LEFT_OUT: Final = frozenset({"holder", "settled", "settled_by"})
_FIELDS: Final = [
    (each.name, each.default if each.default_factory is msgspec.NODEFAULT else each.default_factory())
    for each in fields(StoredJob)
    if each.name not in _LEFT_OUT
]


def line_of(what: str, value: Mapping[str, Any]) -> bytes:
    """One line: what it is of, and what it says."""
    return msgspec.json.encode({what: value}) + b"\n"


def line_of_job(job: StoredJob) -> bytes:
    """A job as a line; what is as usual is left out."""
    said = ((name, getattr(job, name), default) for name, default in _FIELDS)
    return line_of("job", {name: _written(name, value) for name, value, default in said if value != default})


def line_of_record(write: Write) -> bytes:
    """A record as a line."""
    said = {"kind": write.kind, "key": write.key, "value": _text(write.value or b"")}
    return line_of("record", said if write.lifetime is None else {**said, "lifetime": write.lifetime})


def read_line(line: bytes, number: int) -> tuple[str, dict[str, Any]]:
    """What a line is of, and what it says.

    Raises:
        InvalidValue: it is no line of a dump.
    """
    try:
        ((what, value),) = msgspec.json.decode(line, type=dict[str, dict[str, Any]]).items()
    except (msgspec.MsgspecError, ValueError) as error:
        raise wrong(number, f"it is no line of a dump ({error})") from None
    return what, value


def job_of(value: dict[str, Any], number: int) -> StoredJob:
    """The job that a line tells of.

    Raises:
        InvalidValue: it tells of none.
    """
    return _read(lambda: {name: _value_of(name, said) for name, said in value.items()}, StoredJob, number)


def record_of(value: dict[str, Any], number: int) -> Write:
    """The record that a line tells of, as it is written where there is none.

    Raises:
        InvalidValue: it tells of none.
    """
    return _read(lambda: {"version": 0, **value, "value": _bytes(value.get("value"))}, Write, number)


def wrong(number: int, why: str) -> InvalidValue:
    """What is raised about a line."""
    return InvalidValue(f"line {number}: {why}; what stands before it is loaded, and may be loaded again")


def _read(values: Callable[[], dict[str, Any]], kind: type[T], number: int) -> T:
    try:
        return msgspec.convert(values(), kind)
    except (msgspec.ValidationError, TypeError, KeyError, ValueError, AttributeError) as error:
        raise wrong(number, f"it cannot be read ({error})") from None


def _written(name: str, value: Any) -> Any:
    if name in _ENUMS:
        return value.name.lower()
    if name == "attempts":
        return [_text(attempt) for attempt in value]
    return _text(value) if name in _BYTES and value is not None else value


def _value_of(name: str, said: Any) -> Any:
    if name in _ENUMS:
        return _ENUMS[name][said.upper()]
    if name == "attempts":
        return tuple(_bytes(attempt) for attempt in said)
    return _bytes(said) if name in _BYTES and said is not None else said


def _text(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _bytes(said: Any) -> bytes:
    if isinstance(said, str):
        return said.encode()
    try:
        return base64.b64decode(said["base64"], validate=True)
    except (TypeError, KeyError, binascii.Error) as error:
        raise ValueError(f"expected a text or {{'base64': …}} ({error})") from None
