"""What redis-py raises, as the contract says it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raises the contract's errors in place of the library's; ``place`` is the server, without a password."""
    try:
        yield
    except redis.exceptions.AuthenticationError as error:
        raise ConfigurationError(f"{place} refuses the user or password: {error}") from error
    except redis.exceptions.OutOfMemoryError as error:
        raise StoreFull(f"{place} has no memory left: raise maxmemory, or remove ended jobs ({error})") from error
    except redis.exceptions.NoPermissionError as error:
        raise _forbidden(str(error), place) from error
    except _NOT_NOW as error:
        raise Unavailable(f"{place} does not take writes now: {error}", unknown=False) from error
    except MasterNotFoundError as error:
        raise _not_found(str(error), place) from error
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
        was_sent = not _NEVER_SENT.search(str(error))
        raise Unavailable(f"{place} did not answer: {error}", unknown=was_sent) from error
    except redis.exceptions.MovedError as error:
        message = f"{place} is a node of a Cluster and another holds this namespace: say redis+cluster:// in its URL"
        raise ConfigurationError(message) from error
    except redis.exceptions.AskError as error:
        raise Unavailable(f"{place} is moving this namespace to another node", unknown=False) from error
    except redis.exceptions.ResponseError as error:
        raise _meant(str(error), place) from error


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
