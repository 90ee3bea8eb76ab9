"""Opening a server, and what its settings promise."""

from __future__ import annotations

import warnings
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from longshore.contract import Features
from longshore.errors import ConfigurationError
from longshore_redis.failures import translated
from longshore_redis.options import Options

OLDEST: Final = (6, 2)
_KEPT: Final = frozenset({"host", "port", "path", "db", "username", "password", "credential_provider", "client_name"})
"""What a connection of ours has of one that was handed in, besides how its socket is and its TLS."""


def opened(options: Options) -> redis.Redis:
    """A client of the URL. It repeats nothing by itself: a claim that was sent twice would take twice."""
    try:
        return redis.Redis.from_url(
            str(options.url),
            retry=Retry(NoBackoff(), 0),
            socket_timeout=options.timeout or None,
            socket_connect_timeout=min(options.timeout or 5.0, 5.0),
            protocol=2,
            **options.tls,
        )
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"expected a URL like redis://localhost:6379/0: {error}") from error


def beside(handle: Any) -> redis.Redis:
    """A client of ours to the server of one that was handed in, which may repeat commands or decode answers."""
    pool = handle.connection_pool
    kept = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if name in _KEPT or name.startswith(("ssl_", "socket_"))
    }
    settings = {**kept, "retry": Retry(NoBackoff(), 0), "protocol": 2}
    own = redis.ConnectionPool(connection_class=pool.connection_class, **settings)
    return redis.Redis.from_pool(own)


def promised(client: redis.Redis, place: str) -> Features:
    """What this server promises; warns of settings under which it loses jobs."""
    with translated(place):
        server = client.info("server")
        version = tuple(int(part) for part in str(server["redis_version"]).split(".")[:2])
        if version < OLDEST:
            raise ConfigurationError(f"expected Redis 6.2 or newer in {place}, got {server['redis_version']}")
        memory = client.info("memory")
        persistence = client.info("persistence")
        policy = str(memory.get("maxmemory_policy", "noeviction"))
        if policy != "noeviction" and int(memory.get("maxmemory", 0)):
            _warn(f"{place} evicts keys when its memory is full (maxmemory-policy {policy}), and with them jobs: ")
        if not int(persistence.get("aof_enabled", 0)):
            _warn(f"{place} does not write what it answers to its file (appendonly no): a restart loses jobs; ")
            return Features.SHARED | Features.WAKEUPS
        always = _setting(client, "appendfsync") == "always"
    return Features.SHARED | Features.WAKEUPS | (Features.DURABLE if always else Features(0))


def _setting(client: redis.Redis, name: str) -> str | None:
    try:
        found = client.config_get(name)
    except redis.exceptions.ResponseError:
        return None  # Managed servers do not tell.
    value: Any = found.get(name)
    return value.decode() if isinstance(value, bytes) else value


def _warn(message: str) -> None:
    cure = "set maxmemory-policy noeviction and appendonly yes, see docs/design/redis.md"
    warnings.warn(message + cure, RuntimeWarning, stacklevel=4)
