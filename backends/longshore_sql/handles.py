"""What applications hold of a database: how the connection in it is found."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.util.concurrency import in_greenlet

from longshore.errors import InvalidValue


def unwrapped(handle: Any) -> Any:
    """The database's own connection in one of Django's (``django.db.connection``); any other handle as it is.

    Raises:
        InvalidValue: Django's connection is not open.
    """
    if not is_django(handle):
        return handle
    if handle.connection is None:
        raise outside()
    return handle.connection


def is_django(handle: object) -> bool:
    """Whether it is a connection of Django's, which brings the database's own."""
    return hasattr(handle, "in_atomic_block") and hasattr(handle, "on_commit")


def in_sqlalchemy(handle: Any) -> sqlalchemy.Connection | None:
    """The connection on which a session of SQLAlchemy's is, or the connection itself; None: it is something else.

    Raises:
        InvalidValue: it is the inner side of an asynchronous one, used where nothing can be awaited.
    """
    connection = handle
    if not isinstance(handle, sqlalchemy.Connection) and callable(getattr(handle, "connection", None)):
        try:
            connection = handle.connection()
        except MissingGreenlet as error:
            raise _unawaited() from error
    if not isinstance(connection, sqlalchemy.Connection):
        return None
    if connection.dialect.is_async and not in_greenlet():
        raise _unawaited()
    return connection


def outside() -> InvalidValue:
    """What is raised where a connection is in no transaction."""
    return InvalidValue(
        "expected tx to be in a transaction, got a connection in none: execute BEGIN on it first; in Django, enqueue "
        "within `with transaction.atomic():`"
    )


def _unawaited() -> InvalidValue:
    return InvalidValue(
        "expected what run_sync gives to its function, got the inner side of an asynchronous session or connection "
        "outside of it: give the asynchronous one itself, as in `await app.aenqueue(call, tx=session)`"
    )
