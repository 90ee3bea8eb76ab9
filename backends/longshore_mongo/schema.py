"""The collections of a namespace, their indexes, and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

from bson.codec_options import CodecOptions
from pymongo import ASCENDING, DESCENDING, IndexModel, ReadPreference, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.read_concern import ReadConcern

from longshore.contract import State
from longshore.errors import SchemaError
from longshore_mongo.documents import Document

VERSION: Final = 1
READABLE_FROM: Final = 1
"""The oldest version of this code that can still read what this one stores."""

SCHEMA: Final = "schema"
HINTS_KEPT: Final = 60
"""Seconds for which a hint is there for those who poll."""


def _index(name: str, *keys: str, where: Mapping[str, Any] | None = None, unique: bool = False) -> IndexModel:
    ordered = [(key.lstrip("-"), DESCENDING if key.startswith("-") else ASCENDING) for key in keys]
    only = {"partialFilterExpression": where} if where is not None else {}
    return IndexModel(ordered, name=name, unique=unique, **only)


def _there(field: str) -> Document:
    return {field: {"$exists": True}}


INDEXES: Final = (
    _index("listed", "created", "_id"),
    _index("lane", "lane", "-priority", "due", "_id", where=_there("lane")),
    _index("later", "later", "due", where=_there("later")),
    _index("held", "holder", "created", "_id", where=_there("holder")),
    _index("ended", "state", "ended", where=_there("ended")),
    _index("overdue", "expires", where={"state": {"$lte": State.PENDING}, "expires": {"$exists": True}}),
    _index("releasing", "created", "_id", "releases", where={"releases": True}),
    _index("slot", "unique_slot", where=_there("unique_slot"), unique=True),
    _index("turn", "key", "turn", where=_there("turn"), unique=True),
    _index("named", "unique_key", where=_there("unique_key")),
    _index("keyed", "key", "state", "created", "_id", where=_there("key")),
    _index("grouped", "group", "state", "created", "_id", where=_there("group")),
    _index("parented", "parents", "state", where=_there("parents")),
)


class Collections(NamedTuple):
    """Where a namespace keeps what it has."""

    jobs: Collection[Document]
    records: Collection[Document]
    wakes: Collection[Document]
    meta: Collection[Document]

    @classmethod
    def of(cls, database: Database[Any], namespace: str, write_concern: WriteConcern) -> Self:
        """Those of one database; nothing is asked."""
        plain: Database[Document] = database.with_options(
            codec_options=CodecOptions(),
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern(),
            write_concern=write_concern,
        )
        return cls(*(plain[f"{namespace}_{name}"] for name in cls._fields))


def migrate(collections: Collections) -> None:
    """Makes what is not there yet; many may do it at once."""
    meta = collections.meta
    if (found := meta.find_one({"_id": SCHEMA})) is not None:
        judge(found)
    collections.jobs.create_indexes(list(INDEXES))
    collections.records.create_indexes([IndexModel("swept", name="swept", expireAfterSeconds=0)])
    collections.wakes.create_indexes([IndexModel("at", name="at", expireAfterSeconds=HINTS_KEPT)])
    version = {"version": VERSION, "readable_from": READABLE_FROM}
    # Last, so that nobody uses what is half made; and never back to an older one.
    meta.update_one({"_id": SCHEMA}, {"$max": version}, upsert=True)


def judge(found: Mapping[str, Any] | None) -> None:
    """Refuses a schema that is missing or too new.

    Raises:
        SchemaError: it is.
    """
    if found is None:
        raise SchemaError("expected Longshore's collections, found none of this namespace: run `longshore migrate`")
    if found["readable_from"] > VERSION:
        raise SchemaError(
            f"expected a schema that version {VERSION} can read, found one that needs {found['readable_from']}: "
            "update Longshore"
        )
