"""Every way to reach a server, on real ones: by URL, by options, by a live client."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.sentinel import Sentinel

from conftest import REPOSITORY, Serve, miss
from engines import NoServer
from engines.process import LocalServer
from engines.recipes import Redis
from engines.topologies import (
    NODE,
    SERVICE,
    SLOTS,
    Certificate,
    Cluster,
    RedisWithTLS,
    SentinelWithTLS,
    Watched,
    ask,
    cluster_node,
    port_of,
    redis_server,
)
from faults.insisting import insisted
from longshore.contract import Change, Claim, Features, NewJob, Outcome, State, Where
from longshore.errors import ConfigurationError, Unavailable
from longshore.registry import driver_for
from longshore_redis.driver import RedisDriver

PAGE = REPOSITORY / "docs" / "redis.md"
SECRET = "s3cr@t:/w%rd"
QUOTED = "s3cr%40t%3A%2Fw%25rd"


Connect = Callable[..., RedisDriver]


def works(store: RedisDriver) -> None:
    """A job goes all its way, and who listens is woken."""
    store.migrate()
    listener = store.listen(["queue:q"])
    store.insert([NewJob("a", "q", "t", b"\xff")])
    assert listener.wait(30), "nobody was woken"
    listener.close()
    (job,) = store.claim([Claim(queues=("q",))], holder="h", limit=1).jobs
    assert job.payload == b"\xff"
    settle = Change("a", State.SUCCEEDED, generation=job.generation, holder="h", settles=True)
    assert store.update([settle])[0].outcome is Outcome.MOVED
    assert store.features & Features.WAKEUPS


def shut(store: RedisDriver, client: Any) -> None:
    """Closing the store leaves the client that was handed in as it was."""
    assert store.target is client
    assert driver_for(client) is RedisDriver
    store.close()
    assert client.ping()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """One for 127.0.0.1, which is its own authority."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "harbour")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    formats = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *formats))
    return Certificate(folder / "certificate.pem", folder / "certificate.pem", folder / "key.pem")


@pytest.fixture(scope="session")
def behind_tls(certificate: Certificate) -> Iterator[LocalServer]:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(redis_server(RedisWithTLS(certificate)))
        except NoServer:
            miss("a redis-server that was built with TLS is needed, as Debian's is")
        yield server


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_by_host_and_port(connect: Connect, url: str, scheme: str) -> None:
    works(connect(url.replace("redis://", f"{scheme}://")))


def test_by_a_socket(connect: Connect) -> None:
    with tempfile.TemporaryDirectory(prefix="ls-") as folder, redis_server(Redis(unixsocket=f"{folder}/s.sock")):
        works(connect(f"unix://{folder}/s.sock?db=3"))
        with redis.Redis(unix_socket_path=f"{folder}/s.sock", db=3) as client:
            assert client.exists("{longshore:longshore}:jobs")
            shut(connect(client), client)


def test_with_tls(connect: Connect, behind_tls: LocalServer, namespace: str) -> None:
    works(connect(behind_tls.url, namespace=namespace))
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        connect(behind_tls.url.partition("?")[0])
    works(
        connect(
            behind_tls.url.partition("?")[0],
            ssl_cert_reqs="none",
            ssl_check_hostname=False,
            namespace=f"x{namespace[:20]}",
        )
    )


def test_by_sentinels_with_tls(
    connect: Connect, behind_tls: LocalServer, certificate: Certificate, namespace: str
) -> None:
    with redis_server(SentinelWithTLS(port_of(behind_tls), certificate)) as sentinel:
        url = sentinel.url.replace("rediss", "rediss+sentinel").replace("/0", f"/{SERVICE}/0")
        store = connect(url, namespace=namespace)
        works(store)


def test_by_a_cluster_with_tls(
    connect: Connect, behind_tls: LocalServer, certificate: Certificate, namespace: str
) -> None:
    with cluster_node(RedisWithTLS(certificate, **NODE, tls_cluster="yes")) as node:
        ask(node, "CLUSTER", "ADDSLOTS", *range(SLOTS))
        url = node.url.replace("rediss", "rediss+cluster").replace("/0", "")
        store = insisted(lambda: connect(url, namespace=namespace))
        insisted(store.migrate)
        works(store)
        with redis.RedisCluster.from_url(node.url) as client:
            store = connect(client, namespace=namespace)
            assert [job.id for job in store.select(Where(ids=["a"])).jobs] == ["a"]
            shut(store, client)


def test_by_a_client_with_tls(connect: Connect, behind_tls: LocalServer, namespace: str) -> None:
    with redis.Redis.from_url(behind_tls.url) as client:
        store = connect(client, namespace=namespace)
        works(store)
        shut(store, client)


def test_by_sentinels(connect: Connect, harbour: Watched, namespace: str) -> None:
    works(connect(harbour.url, namespace=namespace))
    assert ask(harbour.primary, "EXISTS", f"{{longshore:{namespace}}}:jobs")


def test_by_a_client_that_sentinels_made(connect: Connect, harbour: Watched, namespace: str) -> None:
    sentinel = Sentinel([("127.0.0.1", port_of(one)) for one in harbour.sentinels])
    with sentinel, sentinel.master_for(SERVICE, decode_responses=True) as client:
        store = connect(client, namespace=namespace)
        works(store)
        shut(store, client)
    with sentinel, sentinel.slave_for(SERVICE) as client, pytest.raises(ConfigurationError, match="of replicas"):
        connect(client, namespace=namespace)


def test_by_a_cluster(connect: Connect, cluster: Cluster, namespace: str) -> None:
    works(connect(cluster.url, namespace=namespace))


def test_by_a_client_of_a_cluster(connect: Connect, cluster: Cluster, namespace: str) -> None:
    with redis.RedisCluster(host="127.0.0.1", port=port_of(cluster.nodes[0]), decode_responses=True) as client:
        store = connect(client, namespace=namespace)
        works(store)
        shut(store, client)


def test_a_dead_seed_does_not_matter(connect: Connect, cluster: Cluster, harbour: Watched, namespace: str) -> None:
    works(connect(cluster.url.replace("://", "://127.0.0.1:1,"), namespace=namespace))
    works(connect(harbour.url.replace("://", "://127.0.0.1:1,"), namespace=namespace))


@pytest.mark.parametrize("topology", ["server", "sentinel", "cluster"])
def test_with_a_user_and_a_password(
    connect: Connect, shared_server: Serve, harbour: Watched, cluster: Cluster, namespace: str, topology: str
) -> None:
    """In the URL or beside it; a wrong one is a mistake in the configuration; no error holds one."""
    url, servers = {
        "server": (shared_server("redis").url, []),
        "sentinel": (harbour.url, [harbour.primary]),
        "cluster": (cluster.url, cluster.nodes),
    }[topology]
    rights = ("on", f">{SECRET}", "~*", "&*", "+@all")
    if topology == "server":
        with redis.Redis.from_url(url) as client:
            client.execute_command("ACL", "SETUSER", namespace, *rights)
    for server in servers:
        ask(server, "ACL", "SETUSER", namespace, *rights)
    works(connect(url.replace("://", f"://{namespace}:{QUOTED}@"), namespace=namespace))
    works(connect(url, namespace=f"x{namespace[:20]}", username=namespace, password=SECRET))
    for wrong in (f"{SECRET}x", f"x{SECRET}"):
        with pytest.raises(ConfigurationError, match="refuses the user or password") as caught:
            connect(url, username=namespace, password=wrong)
        assert SECRET not in repr(caught.value)


def test_with_the_rights_that_the_documentation_names(connect: Connect, shared_server: Serve, namespace: str) -> None:
    """Those on the keys and channels of one namespace alone, and no dangerous commands but two that look."""
    url = shared_server("redis").url
    (line,) = re.findall(r"^ACL SETUSER worker (.*)$", PAGE.read_text(), re.MULTILINE)
    rights = [word.replace("secret", SECRET).replace("shop", namespace) for word in line.split()]
    with redis.Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", namespace, *rights)
    store = connect(url, namespace=namespace, username=namespace, password=SECRET)
    works(store)
    assert Features.DURABLE in store.features, "the settings could not be read"
    store.clear()
    others = connect(url, namespace=f"x{namespace[:20]}", username=namespace, password=SECRET)
    with pytest.raises(ConfigurationError, match="does not permit this user"):
        others.migrate()


def test_sentinels_that_ask_for_a_password(connect: Connect, harbour: Watched, namespace: str) -> None:
    for sentinel in harbour.sentinels:
        ask(sentinel, "ACL", "SETUSER", namespace, "on", f">{SECRET}", "~*", "&*", "+@all")
    works(connect(harbour.url, namespace=namespace, sentinel_username=namespace, sentinel_password=SECRET))
    with pytest.raises(ConfigurationError, match="refuses the user or password") as caught:
        connect(harbour.url, sentinel_username=namespace, sentinel_password=f"{SECRET}x")
    assert SECRET not in repr(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"redis://u:{QUOTED}@127.0.0.1:1/0", r"127\.0\.0\.1:1 did not answer"),
        (f"redis+sentinel://u:{QUOTED}@127.0.0.1:1/harbour", r"harbour of the Sentinels 127\.0\.0\.1:1 did not answer"),
        (f"redis+cluster://u:{QUOTED}@127.0.0.1:1", r"the Cluster of 127\.0\.0\.1:1 did not answer"),
        (f"unix://u:{QUOTED}@/nowhere/s.sock", r"/nowhere/s\.sock did not answer"),
    ],
)
def test_where_nobody_answers_nothing_was_done(url: str, said: str) -> None:
    with pytest.raises(Unavailable, match=said) as caught:
        RedisDriver.connect(url)
    assert not caught.value.unknown
    assert SECRET not in str(caught.value)


def test_a_service_that_no_sentinel_knows(harbour: Watched) -> None:
    with pytest.raises(Unavailable, match="pier of the Sentinels") as caught:
        RedisDriver.connect(harbour.url.replace(SERVICE, "pier"))
    assert not caught.value.unknown


def test_a_cluster_that_is_not_whole() -> None:
    """Whoever asks, with or without knowing that it is one, nothing is done there now."""
    with cluster_node() as node:
        with pytest.raises(Unavailable, match="no node says who holds the slot") as caught:
            RedisDriver.connect(f"redis+cluster://127.0.0.1:{port_of(node)}")
        assert not caught.value.unknown
        store = RedisDriver.connect(node.url)
        with pytest.raises(Unavailable, match="does not take writes now") as caught:
            store.migrate()
        assert not caught.value.unknown
        store.close()


def test_one_kind_of_server_taken_for_another(cluster: Cluster, shared_server: Serve, connect: Connect) -> None:
    single = shared_server("redis").url
    with pytest.raises(ConfigurationError, match="say redis://"):
        connect(single.replace("redis://", "redis+cluster://").removesuffix("/0"))
    elsewhere = next(name for name in "abcdefgh" if cluster.owner_of(f"{{longshore:{name}}}") is not cluster.nodes[0])
    store = connect(cluster.nodes[0].url, namespace=elsewhere)
    with pytest.raises(ConfigurationError, match=r"say redis\+cluster://"):
        store.migrate()
