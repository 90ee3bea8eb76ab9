"""Opening a server, however it is found, and what its settings promise."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from longshore.contract import Features
from longshore.errors import ConfigurationError
from longshore_redis import options as topologies
from longshore_redis.cluster import ClusterClient
from longshore_redis.failures import translated
from longshore_redis.options import Options

OLDEST: Final = (6, 2)
_KEPT: Final = frozenset({"host", "port", "path", "db", "username", "password", "credential_provider", "client_name"})
"""What a connection of ours has of one that was handed in, besides how its socket is and its TLS."""
_CONNECTING: Final = 5.0
"""Seconds to wait until a connection is open, at most."""
_SENTINEL: Final = 2.0
"""Seconds to wait for a Sentinel, before the next one is asked."""


class Opened(NamedTuple):
    """A client of ours, and what its server is called in messages."""

    client: redis.Redis
    place: str


def opened(options: Options, root: str) -> Opened:
    """A client of the URL. It repeats nothing by itself: a claim that was sent twice would take twice."""
    timeout = options.timeout or None
    waits = {"socket_timeout": timeout, "socket_connect_timeout": min(timeout or _CONNECTING, _CONNECTING)}
    settings = {**options.settings, **waits, **_once()}
    if options.topology == topologies.SENTINEL:
        return _watched(options.addresses, str(options.service), options.sentinel, settings)
    if options.topology == topologies.CLUSTER:
        return _clustered(options.addresses, root, settings)
    if options.path is not None:
        return Opened(redis.Redis(unix_socket_path=options.path, **settings), options.path)
    ((host, port),) = options.addresses
    return Opened(redis.Redis(host, port, **settings), f"{host}:{port}")


def beside(handle: Any, root: str) -> Opened:
    """A client of ours to the servers of one that was handed in, which may repeat commands or decode answers."""
    if isinstance(handle, redis.RedisCluster):
        return _beside_cluster(handle, root)
    pool = handle.connection_pool
    settings = {**_kept(pool.connection_kwargs), **_once()}
    if isinstance(pool, SentinelConnectionPool):
        return _beside_watched(pool, settings)
    own = redis.Redis.from_pool(redis.ConnectionPool(connection_class=pool.connection_class, **settings))
    return Opened(own, str(settings.get("path") or f"{settings.get('host')}:{settings.get('port')}"))


def shut(client: redis.Redis) -> None:
    """Closes a client of ours and all its connections, those to Sentinels too."""
    client.close()
    client.connection_pool.disconnect()
    if isinstance(client.connection_pool, SentinelConnectionPool):
        client.connection_pool.sentinel_manager.close()


def _beside_cluster(handle: Any, root: str) -> Opened:
    given = handle.get_connection_kwargs()
    settings = {**_kept(given), **_once()}
    if issubclass(given.get("connection_class", redis.Connection), redis.SSLConnection):
        settings["ssl"] = True
    return _clustered([(node.host, node.port) for node in handle.get_nodes()], root, settings)


def _beside_watched(pool: SentinelConnectionPool, settings: dict[str, Any]) -> Opened:
    if not pool.is_master:
        raise ConfigurationError("expected a client that Sentinel.master_for made, this one is of replicas")
    asked = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    addresses = [(one["host"], one["port"]) for one in asked]
    if issubclass(pool.connection_class, redis.SSLConnection):
        settings["ssl"] = True
    return _watched(addresses, pool.service_name, _kept(asked[0]), settings)


def _watched(addresses: Any, service: str, sentinel: Mapping[str, Any], settings: dict[str, Any]) -> Opened:
    place = f"{service} of the Sentinels {_listed(addresses)}"
    tls = {name: value for name, value in settings.items() if name.startswith("ssl")}
    patience = {"socket_timeout": _SENTINEL, "socket_connect_timeout": _SENTINEL}
    asking = {name: value for name, value in sentinel.items() if name not in {"host", "port", "db"}}
    manager = Sentinel(addresses, sentinel_kwargs={**tls, **asking, **patience, **_once()})  # type: ignore[no-untyped-call]
    for name in ("host", "port"):
        settings.pop(name, None)
    return Opened(manager.master_for(service, **settings), place)  # type: ignore[no-untyped-call]


def _clustered(addresses: Any, root: str, settings: dict[str, Any]) -> Opened:
    return Opened(ClusterClient.of(addresses, root, settings), f"the Cluster of {_listed(addresses)}")


def _listed(addresses: Any) -> str:
    return ", ".join(f"{host}:{port}" for host, port in addresses)


def _kept(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name in _KEPT or name.startswith(("ssl", "socket_"))}


def _once() -> dict[str, Any]:
    """Each command is sent once, and answered as bytes."""
    return {"retry": Retry(NoBackoff(), 0), "protocol": 2}


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
        if policy.startswith("allkeys") and int(memory.get("maxmemory", 0)):
            _warn(f"{place} evicts keys when its memory is full (maxmemory-policy {policy}), and with them jobs: ")
        promised = Features.SHARED | Features.WAKEUPS | Features.ONE_PLACE
        if not int(persistence.get("aof_enabled", 0)):
            _warn(f"{place} does not write what it answers to its file (appendonly no): a restart loses jobs; ")
            return promised
        always = _setting(client, "appendfsync") == "always"
    return promised | Features.DURABLE if always else promised


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
