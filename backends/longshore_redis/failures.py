"""What redis-py raises, as the contract says it."""

from __future__ import annotations

import re
from typing import Final

import redis
from redis.sentinel import MasterNotFoundError

from longshore.errors import ConfigurationError, Corrupt, SchemaError, StoreFull, Unavailable

_SCHEMA: Final = "LONGSHORE_SCHEMA "
_NEVER_SENT: Final = re.compile(r"connecting to|no node says")
"""What is said when no connection was opened."""
_FORBIDDEN: Final = ("can't run this command", "can't access at least one", "ACL failure")
"""What is said within a script."""
_NOT_NOW: Final = (
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
)


class translated:  # noqa: N801 - it reads as what is done, and a function would cost ten times as much at each call
    """Raises the contract's errors in place of the library's; ``place`` is the server, without a password."""

    __slots__ = ("_place",)

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, redis.exceptions.RedisError):
            meant = _lost(error, self._place) or _refused(error, self._place)
            if meant is not None:
                raise meant from error


def _lost(error: Exception, place: str) -> Exception | None:
    """Where the server was not reached, or does not work now."""
    if isinstance(error, redis.exceptions.AuthenticationError):
        return ConfigurationError(f"{place} refuses the user or password: {error}")
    if isinstance(error, _NOT_NOW):
        return Unavailable(f"{place} does not take writes now: {error}", unknown=False)
    if isinstance(error, MasterNotFoundError):
        return _not_found(str(error), place)
    if isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
        was_sent = not _NEVER_SENT.search(str(error))
        return Unavailable(f"{place} did not answer: {error}", unknown=was_sent)
    return None


def _refused(error: Exception, place: str) -> Exception | None:
    """Where the server answered, and not what was asked."""
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return StoreFull(f"{place} has no memory left: raise maxmemory, or remove ended jobs ({error})")
    if isinstance(error, redis.exceptions.NoPermissionError):
        return _forbidden(str(error), place)
    if isinstance(error, redis.exceptions.MovedError):
        return ConfigurationError(
            f"{place} is a node of a Cluster and another holds this namespace: say redis+cluster:// in its URL"
        )
    if isinstance(error, redis.exceptions.AskError):
        return Unavailable(f"{place} is moving this namespace to another node", unknown=False)
    return _meant(str(error), place) if isinstance(error, redis.exceptions.ResponseError) else None


def _not_found(message: str, place: str) -> Exception:
    """Why no Sentinel named a primary; the message itself shows each one's whole settings."""
    if "AuthenticationError" in message:
        return ConfigurationError(f"{place} refuses the user or password of the Sentinels")
    return Unavailable(f"{place} did not answer: no Sentinel knows of a primary that is up", unknown=False)


def _forbidden(message: str, place: str) -> Exception:
    return ConfigurationError(f"{place} does not permit this user what Longshore needs: {message}")


def _meant(message: str, place: str) -> Exception:
    if _SCHEMA in message:
        found = message.partition(_SCHEMA)[2].split()[0].rstrip(".,")
        if found == "missing":
            return SchemaError(f"expected Longshore's schema in {place}, found none: run `longshore migrate`")
        return SchemaError(f"the schema in {place} needs version {found}, this one is older: update Longshore")
    if "OOM" in message:
        return StoreFull(f"{place} has no memory left: raise maxmemory, or remove ended jobs ({message})")
    if any(sign in message for sign in ("READONLY", "NOREPLICAS", "BUSY")):
        return Unavailable(f"{place} does not take writes now: {message}", unknown=False)
    if "MISCONF" in message:
        return StoreFull(f"{place} cannot write its file, and takes no writes: {message}")
    if any(sign in message for sign in _FORBIDDEN):
        return _forbidden(message, place)
    return Corrupt(f"{place} holds what cannot be read: {message}")
