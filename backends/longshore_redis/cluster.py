"""A namespace on a Cluster: a client of the one node that holds its slot, which follows when the slot moves.

All keys of a namespace are in one slot, so an ordinary client of one node does. redis-py's own client of a Cluster will
not: it sends a command again whose answer was lost, and it follows ASK, so that a script would run on the node to which
the slot is moving while half of its keys are still where they were. Our scripts name no key that exists, so while its
slot moves a node answers each with ASK and runs none: the namespace is unavailable until the move is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import redis
from redis.crc import key_slot
from redis.exceptions import ClusterDownError, MovedError

from longshore.errors import ConfigurationError
from longshore_redis.options import Address

_HOPS: Final = 5
"""How often one command follows a slot that has moved."""
_NO_CLUSTER: Final = "cluster support disabled"


class Owner:
    """Which node holds a slot: as one of the nodes says, or as MOVED said since."""

    def __init__(self, nodes: Sequence[Address], slot: int, settings: Mapping[str, Any]) -> None:
        self._nodes = list(nodes)
        self._slot = slot
        self._settings = settings
        self._known: Address | None = None

    def address(self) -> Address:
        """Where to connect to."""
        known = self._known
        if known is None:  # Not locked: two that ask at once do no harm, and after a fork nothing is held by nobody.
            known = self._known = self._asked()
        return known

    def is_at(self, address: Address | None) -> None:
        """The slot was found to be there; None: not where it was thought to be."""
        self._known = address

    def _asked(self) -> Address:
        """What the first node that answers says; all that it names are asked in their turn the next time."""
        refused = ""
        for host, port in self._nodes:
            try:
                with redis.Redis(host, port, **self._settings) as node:
                    ranges = node.execute_command("CLUSTER", "SLOTS")
            except redis.exceptions.AuthenticationError:
                raise
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
                refused = f": {error}"
                continue
            except redis.exceptions.ResponseError as error:
                if _NO_CLUSTER not in str(error):
                    raise
                raise ConfigurationError(f"{host}:{port} is no node of a Cluster: say redis:// in its URL") from error
            named = [(_text(at[0]) or host, int(at[1])) for _, _, *nodes in ranges for at in nodes]
            self._nodes = list(dict.fromkeys([(host, port), *named, *self._nodes]))
            for first, last, master, *_ in ranges:
                if int(first) <= self._slot <= int(last):
                    return _text(master[0]) or host, int(master[1])
        raise redis.exceptions.ConnectionError(f"no node says who holds the slot {self._slot}{refused}")


def _text(host: bytes | str | None) -> str:
    """Empty where a node does not know by which name it is reached."""
    text = host.decode() if isinstance(host, bytes) else host or ""
    return "" if text == "?" else text


class _AtOwner(redis.Connection):
    """A connection to whichever node holds the slot when it is opened."""

    def __init__(self, *, owner: Owner, **settings: Any) -> None:
        super().__init__(**settings)  # type: ignore[no-untyped-call]
        self._owner = owner

    def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        # Not `connect` alone: a connection that was closed meanwhile is opened again by this.
        if self._sock is None:
            self.host, self.port = self._owner.address()
        try:
            super().connect_check_health(check_health, retry_socket_connect)
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
            self._owner.is_at(None)
            raise


class _AtOwnerWithTLS(_AtOwner, redis.SSLConnection):
    """The same, with TLS."""


class _Pool(redis.ConnectionPool):
    """Connections to the node that holds a slot."""

    def __init__(self, owner: Owner, **settings: Any) -> None:
        super().__init__(owner=owner, **settings)
        self.owner = owner


class ClusterClient(redis.Redis):
    """A client of the node that holds a slot."""

    connection_pool: _Pool

    @classmethod
    def of(cls, nodes: Sequence[Address], key: str, settings: Mapping[str, Any]) -> Self:
        """A client of the node that holds this key and those with the same tag."""
        shared = {name: value for name, value in settings.items() if name not in {"host", "port", "db"}}
        owner = Owner(nodes, key_slot(key.encode()), shared)
        settings = {name: value for name, value in shared.items() if name != "ssl"}
        kind = _AtOwnerWithTLS if shared.get("ssl") else _AtOwner
        client = cls(connection_pool=_Pool(owner, connection_class=kind, **settings))
        client.auto_close_connection_pool = True
        return client

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Sends it to where the slot is; a node that does not hold it has not run it."""
        for _ in range(_HOPS):
            try:
                return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
            except MovedError as moved:
                self._leave((moved.host, moved.port) if moved.host else None)
            except ClusterDownError:
                self._leave(None)
                raise
        raise redis.exceptions.ConnectionError(f"the slot has moved {_HOPS} times within one command")

    def _leave(self, address: Address | None) -> None:
        self.connection_pool.owner.is_at(address)
        self.connection_pool.disconnect(inuse_connections=False)
        if self.connection is not None:
            self.connection.disconnect()  # type: ignore[no-untyped-call]
