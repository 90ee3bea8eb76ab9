"""PostgreSQL's errors in the words of the contract: here and nowhere else."""

from __future__ import annotations

from typing import Final

import psycopg
import sqlalchemy.exc
from psycopg import errors

from longshore.errors import Closed, ConfigurationError, Corrupt, SchemaError, StoreError, StoreFull, Unavailable

REPEATABLE: Final = (errors.DeadlockDetected, errors.SerializationFailure)
"""Nothing was done, and the same may well succeed at once."""

_MISSING: Final = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName, errors.UndefinedObject)
_WAITED: Final = (errors.LockNotAvailable, errors.QueryCanceled, errors.IdleInTransactionSessionTimeout, *REPEATABLE)
_FULL: Final = (errors.DiskFull, errors.OutOfMemory)
_CORRUPT: Final = (errors.DataCorrupted, errors.IndexCorrupted)


class Translated:
    """Raises what PostgreSQL raises in a ``with`` block as an error of the contract. One may be entered many times."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlalchemy.exc.TimeoutError):
            message = f"no connection to PostgreSQL became free: {error}; allow more by pool_size and max_overflow"
            raise Unavailable(message, unknown=False) from error
        if isinstance(error, sqlalchemy.exc.DBAPIError) and isinstance(error.orig, psycopg.Error):
            raise translation(error.orig) from error
        if isinstance(error, psycopg.Error):
            raise translation(error) from error


def translation(error: psycopg.Error) -> StoreError | ConfigurationError:
    """The error of the contract that says what PostgreSQL said."""
    said = str(error).strip()
    if isinstance(error, _MISSING):
        return SchemaError(f"PostgreSQL lacks what is needed: {said}; run migrate")
    if isinstance(error, _WAITED):
        return Unavailable(f"PostgreSQL let others go first: {said}; nothing was done", unknown=False)
    if isinstance(error, _FULL):
        return StoreFull(f"PostgreSQL has no room: {said}; nothing was stored")
    if isinstance(error, _CORRUPT):
        return Corrupt(f"PostgreSQL cannot read what it holds: {said}")
    if isinstance(error, errors.InsufficientPrivilege):
        return StoreError(f"PostgreSQL does not allow this user to do that: {said}")
    if isinstance(error, errors.InFailedSqlTransaction):
        return StoreError(f"the transaction has failed before: {said}; roll it back")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | errors.ReadOnlySqlTransaction):
        return Unavailable(f"PostgreSQL did not answer: {said}")
    return StoreError(f"PostgreSQL: {said}")


def unopened(error: psycopg.Error) -> StoreError | ConfigurationError:
    """The same for a connection that could not be opened: then nothing was done."""
    said = str(error).strip()
    refused = (errors.InvalidPassword, errors.InvalidAuthorizationSpecification, errors.InvalidCatalogName)
    if isinstance(error, refused) or "authentication failed" in said:
        return ConfigurationError(f"PostgreSQL refuses this connection: {said}")
    return Unavailable(f"PostgreSQL cannot be reached: {said}", unknown=False)


def is_closed(handle: str) -> Closed:
    """What is raised by a driver that was closed."""
    return Closed(f"the driver of {handle} was closed: connect again")
