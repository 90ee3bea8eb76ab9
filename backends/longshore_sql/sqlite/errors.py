"""SQLite's errors in the words of the contract: here and nowhere else."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from longshore.errors import Closed, ConfigurationError, Corrupt, SchemaError, StoreError, StoreFull, Unavailable

_MASK: Final = 0xFF  # The primary code, without the extension that says where it happened.
_FORBIDDEN: Final = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
)


class Translated:
    """Raises what SQLite raises in a ``with`` block as an error of the contract. One may be entered many times."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise translation(error, self._path) from error
        if isinstance(error, OSError):
            raise _unopened(error, self._path) from error


def translation(error: sqlite3.Error, path: str) -> StoreError | ConfigurationError:
    """The error of the contract that says what SQLite said."""
    code = _code(error)
    if isinstance(error, sqlite3.ProgrammingError):
        return _misused(error, path)
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        message = (
            f"{path} was locked by another connection for longer than the timeout allows: {error}; nothing was done"
        )
        return Unavailable(message, unknown=False)
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(f"there is no room for {path}: {error}; free some on its disk, nothing was stored")
    if code in _FORBIDDEN:
        return _unopened(error, path)
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_MISMATCH}:
        return Corrupt(f"{path} cannot be read: {error}; restore a copy, or recover it with SQLite's own shell")
    if code == sqlite3.SQLITE_ERROR and ("no such table" in str(error) or "no such column" in str(error)):
        return SchemaError(f"{path} lacks what is needed: {error}; run migrate")
    return Unavailable(f"{path} failed: {error}")


def is_forbidden(error: BaseException | None) -> bool:
    """Whether the file is not there, or not for this user."""
    return isinstance(error, OSError) or _code(error) in _FORBIDDEN


def make_legible(connection: sqlite3.Connection, error: sqlite3.OperationalError) -> None:
    """After a text that is no UTF-8: it is read all the same when the call is repeated, so that it blocks nobody."""
    if "decode to UTF-8" in str(error):
        # Not from the beginning: it takes longer for each text.
        connection.text_factory = _legible


def _legible(text: bytes) -> str:
    return text.decode(errors="backslashreplace")


def _unopened(error: Exception, path: str) -> Unavailable:
    folder = Path(path).parent
    why = f"{error}; it and its folder must be writable for this user"
    if Path(path).is_dir():
        why = "it is a folder"
    elif path.startswith("/") and not folder.is_dir():
        why = f"{folder} is no folder" if folder.exists() else f"there is no folder {folder}"
    message = f"{path} cannot be opened for writing: {why}"
    return Unavailable(message, unknown=False)


def _code(error: BaseException | None) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & _MASK


def _misused(error: sqlite3.Error, path: str) -> StoreError | ConfigurationError:
    message = str(error)
    if "closed" in message:
        return Closed(f"the connection to {path} is closed: connect again")
    if "thread" in message:
        return ConfigurationError(
            f"the connection to {path} that was handed in belongs to one thread: open it with check_same_thread=False"
        )
    return StoreError(f"{path}: {error}")
