"""The stores that the suites of the core run on: the same tests, the same meaning on each.

``LONGSHORE_TEST_STORES=sqlite,postgres pytest …`` runs them on others than those that are named here;
``postgres@wheel`` is a server from that source: a wheel's, a program's, a container's (`engines.origins`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from engines import Server
from engines.mongo_namespaces import emptied_namespace
from longshore.ids import IdMaker
from longshore.memory_store import MemoryStore

ENGINES = ("memory", "sqlite", "postgres", "redis", "mariadb", "mongo")
"""All that there are."""
_CHOSEN = os.environ.get("LONGSHORE_TEST_STORES")
STORES = tuple((_CHOSEN or "memory,sqlite").split(","))
AROUND = STORES if _CHOSEN else ENGINES
"""The stores of those few tests that run on every engine each time, unless some were chosen."""
SHARED_STORES = tuple(name for name in STORES if name != "memory")
"""Those that several processes can use at once."""


def fresh_store(name: str, folder: Path, serve: Callable[[str], Server] | None = None) -> Any:
    """An empty store: a live one in memory, the URL of a new file, or that of a new namespace on a running server."""
    if name == "memory":
        return MemoryStore()
    if name == "sqlite":
        return f"sqlite:///{folder}/jobs.db"
    if name == "multi":
        return [f"sqlite:///{folder}/{tag}.db#{tag}" for tag in ("east", "west")]
    assert serve is not None, f"{name} needs a server"
    url = serve(name).url
    parts = urlsplit(url)
    namespace = urlencode({"namespace": emptied_namespace(url) if name == "mongo" else f"t{IdMaker()().lower()}"})
    return urlunsplit(parts._replace(query=f"{parts.query}&{namespace}".lstrip("&")))
