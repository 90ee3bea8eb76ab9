"""Wake-ups for what is written in an application's own transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, event

from longshore_sql.handles import is_django
from longshore_sql.sqlite.sources import session_connection


class AfterCommit:
    """Sends wake-ups when SQLAlchemy or Django commits. ``sqlite3`` does not say when it does: there, at once.

    But for Django they come a moment before the commit. Whoever is woken asks for the lock that the committing
    transaction still has, and so sees what it wrote.
    """

    def __init__(self, send: Callable[[Sequence[str]], None]) -> None:
        self._send = send
        self._pending: WeakKeyDictionary[Connection, set[str]] = WeakKeyDictionary()

    def wake(self, topics: Sequence[str], tx: Any) -> None:
        """Wakes the topics with the commit of ``tx``."""
        if is_django(tx):
            tx.on_commit(lambda: self._send(topics))
            return
        if isinstance(tx, sqlite3.Connection):
            self._send(topics)
            return
        connection = session_connection(tx)
        if connection not in self._pending:
            self._pending[connection] = set()
            event.listen(connection, "commit", self._committed)
            event.listen(connection, "rollback", self._rolled_back)
        self._pending[connection].update(topics)

    def _committed(self, connection: Connection) -> None:
        if topics := self._pending.get(connection):
            self._send(sorted(topics))
            topics.clear()

    def _rolled_back(self, connection: Connection) -> None:
        self._pending.get(connection, set()).clear()
