"""The errors of MariaDB and MySQL in the words of the contract: here and nowhere else."""

from __future__ import annotations

from typing import Final

import sqlalchemy.exc

from longshore.errors import ConfigurationError, Corrupt, SchemaError, StoreError, StoreFull, TooLarge, Unavailable
from longshore_sql.mysql.dialect import errors

DEADLOCK: Final = frozenset({1213, 1020})
"""The server rolled the whole transaction back, and the same may well succeed at once."""
WAITED_TOO_LONG: Final = 1205
"""For a row that others have; the server took back the last statement alone."""
INTERRUPTED: Final = frozenset({1317})
NO_SUCH_THREAD: Final = 1094
BROKEN: Final = frozenset({0, 1040, 1053, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 2003, 2006, 2013, 2055, 4031})
"""After these nothing more can be asked of the connection."""

_WAITED: Final = DEADLOCK | INTERRUPTED | {WAITED_TOO_LONG, 1969, 3024, 3572}
_MISSING: Final = frozenset({1146, 1054, 1049})
_FULL: Final = frozenset({1021, 1037, 1038, 1041, 1114, 1659})
_CORRUPT: Final = frozenset({1034, 1035, 1194, 1195, 1712})
_FORBIDDEN: Final = frozenset({1044, 1045, 1142, 1143, 1227, 1370})
_REFUSED: Final = frozenset({1044, 1045, 1049, 1130, 1251, 1698, 2026, 2059})
_READ_ONLY: Final = frozenset({1290, 1792, 1836})
_TOO_LARGE: Final = frozenset({1153, 1301})


class Translated:
    """Raises what MariaDB raises in a ``with`` block as an error of the contract. One may be entered many times."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlalchemy.exc.TimeoutError):
            message = f"no connection to MariaDB became free: {error}; allow more by pool_size and max_overflow"
            raise Unavailable(message, unknown=False) from error
        original = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
        if isinstance(original, errors("Error")):
            raise translation(original) from error


def code_of(error: BaseException | None) -> int:
    """The number of an error of the server's or of the client library's; -1 where it has none."""
    first = error.args[0] if error is not None and error.args else -1
    return first if isinstance(first, int) else -1


def is_broken(error: BaseException) -> bool:
    """Whether the connection is of no more use."""
    return isinstance(error, errors("Error")) and (code_of(error) in BROKEN or isinstance(error, _interface()))


def translation(error: Exception) -> StoreError | ConfigurationError | TooLarge:
    """The error of the contract that says what MariaDB said."""
    code, said = code_of(error), _said(error)
    if code in _MISSING:
        return SchemaError(f"MariaDB lacks what is needed: {said}; run migrate")
    if code in _WAITED:
        return Unavailable(f"MariaDB let others go first: {said}; nothing was done", unknown=False)
    if code in _FULL:
        return StoreFull(f"MariaDB has no room: {said}; nothing was stored")
    if code in _CORRUPT:
        return Corrupt(f"MariaDB cannot read what it holds: {said}")
    if code in _FORBIDDEN:
        return StoreError(f"MariaDB does not allow this user to do that: {said}")
    if code in _TOO_LARGE:
        return TooLarge(f"MariaDB takes no statement of this size: {said}; raise its max_allowed_packet")
    if code in BROKEN | _READ_ONLY or isinstance(error, _interface() + errors("OperationalError")):
        return Unavailable(f"MariaDB did not answer: {said}")
    return StoreError(f"MariaDB: {said}")


def unopened(error: Exception) -> StoreError | ConfigurationError:
    """The same for a connection that could not be opened: then nothing was done."""
    said = _said(error)
    if code_of(error) in _REFUSED:
        return ConfigurationError(f"MariaDB refuses this connection: {said}")
    return Unavailable(f"MariaDB cannot be reached: {said}", unknown=False)


def lost_transaction(error: Exception) -> Unavailable:
    """A deadlock inside the application's own transaction."""
    message = (
        f"MariaDB rolled back the whole transaction that was given as tx, since it was in a deadlock: {_said(error)}; "
        "begin it again from its first statement"
    )
    return Unavailable(message, unknown=False)


def _said(error: Exception) -> str:
    return " ".join(str(part) for part in error.args[1:] or error.args).strip()


def _interface() -> tuple[type[Exception], ...]:
    return errors("InterfaceError")
