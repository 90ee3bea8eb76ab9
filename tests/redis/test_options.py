"""What URLs and options mean, and what is said of mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.errors import ConfigurationError
from longshore.registry import driver_for
from longshore_redis.driver import RedisDriver
from longshore_redis.options import CLUSTER, SENTINEL, SERVER, SOCKET, Options

SECRET = "s3cret"


@pytest.mark.parametrize(
    "scheme",
    ["redis", "rediss", "valkey", "valkeys", "unix", "redis+sentinel", "rediss+sentinel", "valkey+cluster"],
)
def test_the_schemes_lead_to_this_driver(scheme: str) -> None:
    assert driver_for(f"{scheme}://somewhere") is RedisDriver


@pytest.mark.parametrize(
    ("url", "topology", "addresses", "settings"),
    [
        ("redis://", None, None, None),
        ("redis://host", SERVER, [("host", 6379)], {}),
        ("redis:///3", SERVER, [("localhost", 6379)], {"db": 3}),
        ("valkeys://[::1]:7000/2", SERVER, [("::1", 7000)], {"db": 2, "ssl": True}),
        ("redis://us%40er:p%2Fw@host:1/2", SERVER, [("host", 1)], {"username": "us@er", "password": "p/w", "db": 2}),
        ("redis://:pw@host", SERVER, [("host", 6379)], {"password": "pw"}),
        ("unix:///run/re%20dis.sock?db=4", SOCKET, [], {"db": 4}),
        ("redis+sentinel://a,b:1/harbour/5", SENTINEL, [("a", 26379), ("b", 1)], {"db": 5}),
        (
            "rediss+cluster://u:p@a,b:1",
            CLUSTER,
            [("a", 6379), ("b", 1)],
            {"username": "u", "password": "p", "ssl": True},
        ),
    ],
)
def test_what_a_url_means(url: str, topology: Any, addresses: Any, settings: Any) -> None:
    if topology is None:
        with pytest.raises(ConfigurationError):
            Options.of(url, {})
        return
    options = Options.of(url, {})
    assert (options.topology, list(options.addresses), options.settings) == (topology, addresses, settings)


def test_a_url_and_its_options_come_back_as_target() -> None:
    options = Options.of("valkey://user:secret@host:1/2?namespace=a&timeout=3", {"wait_replicas": 1, "password": "b&c"})
    assert options.settings == {"username": "user", "password": "b&c", "db": 2}, "an option stands over the URL"
    assert (options.namespace, options.timeout, options.wait_replicas) == ("a", 3.0, 1)
    assert Options.of(options.target, {}) == options


def test_sentinels_have_a_user_of_their_own() -> None:
    options = Options.of("redis+sentinel://u:p@a/harbour?sentinel_password=x", {"sentinel_username": "y"})
    assert options.service == "harbour"
    assert (options.settings, options.sentinel) == (
        {"username": "u", "password": "p"},
        {"username": "y", "password": "x"},
    )


@pytest.mark.parametrize(
    ("target", "options", "said"),
    [
        ("redis:", {}, "expected a URL like"),
        ("redis://[::1", {}, "expected a URL like"),
        (f"redis://user:{SECRET}/word@host", {}, "written %40"),
        (f"redis://user:pw{SECRET}@", {"namespace": "Not!"}, "a namespace of a to z"),
        (f"redis://:{SECRET}@host", {"timeout": "soon"}, "timeout to be a number of seconds"),
        (f"redis://:{SECRET}@host", {"wait_replicas": -1}, "wait_replicas to be a number"),
        (f"redis://:{SECRET}@host?retry=3", {}, "knows the options"),
        (f"redis://:{SECRET}@host/jobs", {}, "number of a database"),
        (f"redis://:{SECRET}@one,two", {}, "expected one host"),
        (f"redis://:{SECRET}@host:99999", {}, "hosts are like"),
        (f"redis://:{SECRET}@host", {"ssl_keyfile": "key"}, "begins with rediss"),
        (f"rediss://:{SECRET}@host", {"ssl_cert_reqs": "perhaps"}, "none, optional or required"),
        (f"rediss://:{SECRET}@host", {"ssl_check_hostname": "perhaps"}, "true or false"),
        (f"redis+sentinel://:{SECRET}@host", {}, "no service"),
        (f"redis+cluster://:{SECRET}@host/1", {}, "one database"),
        (f"redis+cluster://:{SECRET}@host?db=1", {}, "not db"),
        (object(), {"timeout": 3, "password": SECRET}, "beside a live client"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(target: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        Options.of(target, options)
    assert SECRET not in str(caught.value)
