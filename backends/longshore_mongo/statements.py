"""What is to be written to documents of jobs, as few statements as there can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from longshore.contract import ATTEMPTS_KEPT
from longshore_mongo.documents import BODY, Document, Edit

Pipeline = list[Document]

TRACE: Final = 16
"""How many of the last writes a document knows by their calls."""
_TOGETHER: Final = 100
"""Documents of one statement: finding each one's values in it costs by the square."""
_BYTES_TOGETHER: Final = 4 * 1024 * 1024


def statements_of(edits: Sequence[Edit]) -> list[Document]:
    """Edits of one shape and revision are one statement of the command `update`."""
    shapes: dict[Any, list[Edit]] = {}
    for edit in edits:
        own = edit.id if edit.alone else None
        shape = (edit.revision, edit.token, tuple(edit.values), edit.removed, edit.attempt is not None, own)
        shapes.setdefault(shape, []).append(edit)
    return [_statement(some) for alike in shapes.values() for some in _cut(alike)]


def _cut(edits: list[Edit]) -> Iterator[list[Edit]]:
    rest = iter(edits)
    while some := list(islice(rest, _TOGETHER)):
        yield from ([edit] for edit in some) if _bytes_of(some) > _BYTES_TOGETHER else [some]


def _bytes_of(edits: list[Edit]) -> int:
    large = [name for name in BODY if name in edits[0].values]
    values = sum(len(edit.values[name] or b"") for name in large for edit in edits)
    return values + sum(len(edit.attempt) for edit in edits if edit.attempt is not None)


def _statement(edits: list[Edit]) -> Document:
    first = edits[0]
    if len(edits) == 1:
        return {"q": {"_id": first.id, "revision": first.revision, "birth": first.birth}, "u": _plain_update(first)}
    where = {
        "_id": {"$in": [edit.id for edit in edits]},
        "revision": first.revision,
        "birth": {"$in": [edit.birth for edit in edits]},
    }
    is_alike = first.attempt is None and all(edit.values == first.values for edit in edits)
    return {"q": where, "u": _plain_update(first) if is_alike else _pipeline(edits), "multi": True}


def traced(token: bytes) -> Document:
    """What every write does besides, so that it is known afterwards which landed."""
    return {"$inc": {"revision": 1}, "$push": {"trace": {"$each": [token], "$slice": -TRACE}}}


def _plain_update(edit: Edit) -> Document:
    update = traced(edit.token)
    if edit.values:
        update["$set"] = edit.values
    if edit.removed:
        update["$unset"] = dict.fromkeys(edit.removed, "")
    if edit.attempt is not None:
        update["$push"]["attempts"] = {"$each": [edit.attempt], "$slice": -ATTEMPTS_KEPT}
    return update


def _pipeline(edits: list[Edit]) -> Pipeline:
    """An update that gives each document its own values, found by the place of its id; one stage, as each costs."""
    first = edits[0]
    at = {"$indexOfArray": [{"$literal": [edit.id for edit in edits]}, "$_id"]}
    values: Document = {"revision": first.revision + 1, "trace": _appended("trace", [first.token], TRACE)}
    for name, value in first.values.items():
        every = [edit.values[name] for edit in edits]
        is_alike = all(one == value for one in every)
        values[name] = {"$literal": value} if is_alike else {"$arrayElemAt": [{"$literal": every}, at]}
    if first.attempt is not None:
        own = {"$arrayElemAt": [{"$literal": [edit.attempt for edit in edits]}, at]}
        values["attempts"] = _appended("attempts", [own], ATTEMPTS_KEPT)
    return [{"$set": values | dict.fromkeys(first.removed, "$$REMOVE")}]


def _appended(name: str, more: list[Any], kept: int) -> Document:
    return {"$slice": [{"$concatArrays": [{"$ifNull": [f"${name}", []]}, more]}, -kept]}
