"""What pymongo raises, as the contract says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pymongo
from bson.errors import BSONError
from pymongo import errors

from longshore.errors import ConfigurationError, Corrupt, StoreError, StoreFull, TooLarge, Unavailable

DUPLICATE: Final = 11_000
TIMEOUT: Final = 50
WRITE_CONFLICT: Final = 112
_DENIED: Final = {13, 18, 8_000}
_FULL: Final = {14_031}
_TOO_LARGE: Final = {10_334, 17_419, 17_420}
_TRANSIENT: Final = "TransientTransactionError"


@contextmanager
def translated(place: str, timeout: float | None = None) -> Iterator[None]:
    """Raises the contract's errors in place of the library's; ``place`` is the server, without a password."""
    try:
        if timeout is None:
            yield
        else:
            with pymongo.timeout(timeout):
                yield
    except errors.PyMongoError as error:
        raise _meant(error, place) from error
    except BSONError as error:
        raise Corrupt(f"{place} holds what cannot be read: {error}") from error


def is_clash(error: errors.BulkWriteError) -> bool:
    """Whether all the trouble is that ids, slots or turns are another's."""
    details = error.details or {}
    return not details.get("writeConcernErrors") and all(each["code"] == DUPLICATE for each in details["writeErrors"])


def _meant(error: errors.PyMongoError, place: str) -> Exception:
    if isinstance(error, errors.ServerSelectionTimeoutError | errors.WaitQueueTimeoutError):
        return Unavailable(f"{place} cannot be reached: {error}", unknown=False)
    if isinstance(error, errors.BulkWriteError):
        return _bulk(error.details or {}, place)
    if isinstance(error, errors.DocumentTooLarge):
        return _too_large(place, str(error))
    if isinstance(error, errors.OperationFailure):
        return _operation(error.code, str(error), place, is_transient=error.has_error_label(_TRANSIENT))
    if isinstance(error, errors.ConfigurationError):
        return ConfigurationError(str(error))
    return Unavailable(f"{place} did not answer: {error}")


def _bulk(details: Mapping[str, Any], place: str) -> Exception:
    for problem in details.get("writeErrors", ()):
        if problem["code"] != DUPLICATE:
            nothing_done = not details.get("nInserted") and not details.get("nMatched")
            is_transient = problem["code"] == TIMEOUT and nothing_done
            return _operation(problem["code"], problem["errmsg"], place, is_transient=is_transient)
    return Unavailable(f"{place} did not confirm what was written: {details.get('writeConcernErrors')}")


def _too_large(place: str, message: str) -> TooLarge:
    return TooLarge(f"a job or record is larger than the 16 MiB that {place} takes: {message}")


def _operation(
    code: int | None, message: str, place: str, *, is_transient: bool
) -> StoreError | ConfigurationError | TooLarge:
    if code in _TOO_LARGE or "object to insert too large" in message:
        return _too_large(place, message)
    if is_transient or code == WRITE_CONFLICT:
        return Unavailable(f"another transaction is in the way in {place}: {message}", unknown=False)
    if code in _DENIED:
        return ConfigurationError(f"{place} does not permit this user what Longshore needs: {message}")
    if code in _FULL:
        return StoreFull(f"{place} has no room left: {message}")
    return Unavailable(f"{place} did not do what was asked: {message}")
