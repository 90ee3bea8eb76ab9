"""The server as an application without Longshore sees it."""

from __future__ import annotations

from typing import Any

import pymysql
from sqlalchemy import make_url


def opened(url: str) -> pymysql.Connection[Any]:
    """A connection as an application opens it."""
    place = make_url(url)
    return pymysql.connect(
        host=place.host, port=place.port or 3306, user=place.username, database=place.database, charset="utf8mb4"
    )


def asked(connection: pymysql.Connection[Any], text: str, *values: Any) -> tuple[tuple[Any, ...], ...]:
    """What the server answers."""
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        rows: tuple[tuple[Any, ...], ...] = tuple(cursor.fetchall())
        return rows
