"""The stores that the core's features are tested on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longshore.memory_store import MemoryStore

STORES = ("memory", "sqlite")


def fresh_store(kind: str, folder: Path) -> Any:
    """A live memory store, or the URL of a new file."""
    return MemoryStore() if kind == "memory" else f"sqlite:///{folder}/jobs.db"
