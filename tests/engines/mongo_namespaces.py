"""Namespaces of a MongoDB server that tests use in turn: fifteen indexes made anew would take most of a test's time."""

from __future__ import annotations

import os
from typing import Any, Final

import pymongo
from pymongo import ReturnDocument

_IN_TURN: Final = 8
"""So many tests later nobody uses the namespace of one any more."""
_COLLECTIONS: Final = ("jobs", "records", "wakes", "meta")


def emptied_namespace(url: str) -> str:
    """The next namespace of this process, without jobs, records and schema: only its indexes are there already."""
    with pymongo.MongoClient[Any](url) as client:
        database = client.get_default_database()
        turns = database["tests_turns"]
        turn = turns.find_one_and_update(
            {"_id": os.getpid()}, {"$inc": {"turn": 1}}, upsert=True, return_document=ReturnDocument.AFTER
        )
        namespace = f"t{os.getpid()}n{turn['turn'] % _IN_TURN}"
        for name in _COLLECTIONS:
            database[f"{namespace}_{name}"].delete_many({})
    return namespace
