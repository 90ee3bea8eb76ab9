"""What a Redis URL or handle, and the options beside it, ask for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from longshore.errors import ConfigurationError

Address = tuple[str, int]
Known = Mapping[str, tuple[Callable[[str], Any], str]]
"""Options by name: what makes a value of a text, and how that is called in an error."""

SERVER: Final = "redis"
SOCKET: Final = "unix"
SENTINEL: Final = "redis+sentinel"
CLUSTER: Final = "redis+cluster"
"""How a server is found; with TLS, ``rediss`` stands for ``redis`` in the scheme of a URL."""

_PORTS: Final = {SERVER: 6379, CLUSTER: 6379, SENTINEL: 26379}
_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:@/\[\]]+))(?::(\d{1,5}))?")
_NAMESPACE: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")
_EXAMPLES: Final = (
    "redis://localhost:6379/0, rediss://… for TLS, unix:///run/redis.sock, "
    "redis+sentinel://host:26379,host2:26379/service/0 or redis+cluster://host:6379,host2:6379"
)


def _namespace(value: str) -> str:
    if not _NAMESPACE.fullmatch(value):
        raise ConfigurationError(f"expected a namespace of a to z, 0 to 9 and _, at most 31 long, got {value!r}")
    return value


def _at_least_0(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def converted(value: str) -> Any:
        number = kind(value)
        if number < 0:
            raise ValueError
        return number

    return converted


def _flag(value: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[value.lower()]


def _one_of(*names: str) -> Callable[[str], str]:
    return lambda value: {name: name for name in names}[value]


_COMMON: Final[Known] = {
    "namespace": (_namespace, "a name"),
    "wait_replicas": (_at_least_0(int), "a number of replicas, at least 0"),
}
_CONNECTING: Final[Known] = {
    **_COMMON,
    "timeout": (_at_least_0(float), "a number of seconds, at least 0"),
    "username": (str, "a name"),
    "password": (str, "a text"),
    "client_name": (str, "a name"),
}
_NUMBERED: Final[Known] = {"db": (_at_least_0(int), "the number of a database")}
_WATCHED: Final[Known] = {"sentinel_username": (str, "a name"), "sentinel_password": (str, "a text")}
_TLS: Final[Known] = {
    "ssl_ca_certs": (str, "a path"),
    "ssl_ca_path": (str, "a path"),
    "ssl_certfile": (str, "a path"),
    "ssl_keyfile": (str, "a path"),
    "ssl_password": (str, "a text"),
    "ssl_cert_reqs": (_one_of("none", "optional", "required"), "none, optional or required"),
    "ssl_check_hostname": (_flag, "true or false"),
}
_OURS: Final = ("namespace", "timeout", "wait_replicas", "sentinel_username", "sentinel_password")


class Options(NamedTuple):
    """How to connect."""

    topology: str | None = None  # None: a live object was handed in.
    addresses: tuple[Address, ...] = ()
    path: str | None = None
    service: str | None = None
    settings: Mapping[str, Any] = {}  # As redis-py calls them.
    sentinel: Mapping[str, Any] = {}
    namespace: str = "longshore"
    timeout: float = 30.0
    wait_replicas: int = 0
    target: str = ""
    """The URL by which another process reaches the same."""

    @classmethod
    def of(cls, target: Any, options: Mapping[str, Any]) -> Self:
        """Reads the URL, if it is one, and the options."""
        if not isinstance(target, str):
            return cls(**_converted(options, _COMMON, "beside a live client"))
        parts = _split(target)
        scheme = parts.scheme.replace("valkey", "redis")
        has_tls = scheme.startswith("rediss")
        topology = scheme.replace("rediss", "redis")
        if topology not in {SERVER, SOCKET, SENTINEL, CLUSTER} or not (parts.netloc or parts.path.strip("/")):
            raise ConfigurationError(f"expected a URL like {_EXAMPLES}")
        texts = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **options}
        given = _converted(texts, _known(topology, has_tls=has_tls), f"in {parts.scheme}://")
        plain = urlunsplit(parts._replace(scheme=scheme, query="", fragment=""))
        fields = _found(topology, parts.netloc, parts.path)
        settings = {**fields.pop("settings"), **{name: value for name, value in given.items() if name not in _OURS}}
        if has_tls:
            settings["ssl"] = True
        return cls(
            topology,
            settings=settings,
            sentinel={name.removeprefix("sentinel_"): given.pop(name) for name in _WATCHED if name in given},
            target=f"{plain}?{urlencode(texts)}" if texts else plain,
            **fields,
            **{name: value for name, value in given.items() if name in _OURS},
        )


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ConfigurationError(f"expected a URL like {_EXAMPLES}") from error


def _known(topology: str, *, has_tls: bool) -> Known:
    return {
        **_CONNECTING,
        **(_NUMBERED if topology != CLUSTER else {}),
        **(_WATCHED if topology == SENTINEL else {}),
        **(_TLS if has_tls else {}),
    }


def _converted(options: Mapping[str, Any], known: Known, where: str) -> dict[str, Any]:
    if unknown := sorted(options.keys() - known.keys()):
        hint = "; with TLS the scheme begins with rediss" if set(unknown) <= _TLS.keys() else ""
        raise ConfigurationError(f"Redis knows the options {', '.join(known)} {where}, not {', '.join(unknown)}{hint}")
    converted = {}
    for name, value in options.items():
        convert, expected = known[name]
        try:
            converted[name] = convert(str(value))
        except (LookupError, OverflowError, ValueError) as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(f"expected {name} to be {expected}, got {value!r}") from error
    return converted


def _found(topology: str, netloc: str, path: str) -> dict[str, Any]:
    """What stands in front of the query. Nothing of it is shown in an error: it may be a password gone astray."""
    credentials, _, places = netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    named = (("username", username), ("password", password))
    settings: dict[str, Any] = {name: unquote(value) for name, value in named if value}
    if topology == SOCKET:
        return {"path": unquote(path), "settings": settings}
    addresses = tuple(_address(place, _PORTS[topology]) for place in (places or "localhost").split(","))
    service, _, number = path.strip("/").partition("/") if topology == SENTINEL else (None, "", path.strip("/"))
    if service == "":
        raise ConfigurationError("expected redis+sentinel://host:26379/service, got no service")
    if number:
        if topology == CLUSTER or not number.isdecimal():
            raise ConfigurationError(
                "a Cluster has one database, leave out its number"
                if topology == CLUSTER
                else "expected the path of a Redis URL to end with the number of a database, as /0"
            )
        settings["db"] = int(number)
    if topology == SERVER and len(addresses) > 1:
        raise ConfigurationError("expected one host; of several, say redis+sentinel:// or redis+cluster://")
    return {"addresses": addresses, "service": service and unquote(service), "settings": settings}


def _address(place: str, port: int) -> Address:
    match = _ADDRESS.fullmatch(place)
    if match is None or not 0 < int(match[3] or port) < 2**16:
        raise ConfigurationError(
            f"expected a URL like {_EXAMPLES}; hosts are like localhost:6379 or [::1]:6379, and in a user or password "
            "the signs @ : / ? # % are written %40 %3A %2F %3F %23 %25"
        )
    return match[1] or match[2], int(match[3] or port)
