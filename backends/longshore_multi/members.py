"""Which stores there are: each with its tag and its weight, as an application, a URL or a person says it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from longshore.errors import ConfigurationError
from longshore.registry import driver_for, without_password

SCHEME: Final = "multi:"
_TAG: Final = re.compile(r"[a-z0-9_-]{1,16}")
_WEIGHED: Final = re.compile(r"(\d+(?:\.\d+)?)\*(.+)", re.DOTALL)
_FAMILIES: Final = {
    "rediss": "redis",
    "valkey": "redis",
    "valkeys": "redis",
    "mariadb": "mysql",
    "mongodb+srv": "mongodb",
}
_PORTS: Final = {"postgresql": ":5432", "mysql": ":3306", "redis": ":6379", "mongodb": ":27017"}
_PLACES: Final = ("namespace", "schema", "db")
"""Options that say which store is meant; the others say how it is talked to."""
_DEFAULT_NAMESPACE: Final = "longshore"
_KNOWN: Final = {"target", "tag", "weight"}
_EXAMPLE: Final = '["postgresql://a/jobs", "postgresql://b/jobs#west"]'


class Member(NamedTuple):
    """One of the stores.

    Attributes:
        target: what its own driver takes.
        tag: by which it is known.
        weight: its share of new jobs and of names, against that of the others.
    """

    target: Any
    tag: str
    weight: float = 1.0

    @property
    def shown(self) -> str:
        """It, as people may see it."""
        return f"{self.tag} ({without_password(self.target)})"


def members_of(target: Any, weights: Any, options: Mapping[str, Any]) -> list[Member]:
    """The stores that a target names.

    Args:
        target: ``multi:URL URL …``, or a list of URLs, live handles, or mappings with ``target``, ``tag``, ``weight``.
        weights: one for each, in their order; or one for each tag.
        options: those of all of them.

    Raises:
        ConfigurationError: it names none, or one twice, or something is not of the form that is needed.
    """
    given = target.removeprefix(SCHEME).split() if isinstance(target, str) else list(target)
    if not given:
        raise ConfigurationError(f"expected at least one store, as in Longshore({_EXAMPLE}), got none")
    members = [_member(one, options) for one in given]
    tags = [member.tag for member in members]
    if twice := next((tag for tag in tags if tags.count(tag) > 1), None):
        both = " and ".join(without_password(member.target) for member in members if member.tag == twice)
        raise ConfigurationError(
            f"expected stores with different tags, got {twice} twice: {both}. If they are two stores, put a tag of its "
            "own behind the URL of each, as in redis://host/0#east"
        )
    return _weighed(members, weights)


def target_of(members: Sequence[Member], targets: Sequence[Any]) -> Any:
    """What reaches the same stores again: a URL, or, if there are live ones among them, a list."""
    if all(isinstance(target, str) for target in targets):
        named = (
            f"{member.weight:g}*{target.partition('#')[0]}#{member.tag}"
            for member, target in zip(members, targets, strict=True)
        )
        return SCHEME + " ".join(named)
    return tuple(
        {"target": target, "tag": member.tag, "weight": member.weight}
        for member, target in zip(members, targets, strict=True)
    )


def _member(given: Any, options: Mapping[str, Any]) -> Member:
    tag = None
    weight: Any = 1.0
    if isinstance(given, Mapping):
        if given.keys() - _KNOWN or "target" not in given:
            raise ConfigurationError(
                f"expected a store as a URL, or with {', '.join(sorted(_KNOWN))}; got {', '.join(map(str, given))}"
            )
        given, tag, weight = given["target"], given.get("tag"), given.get("weight", 1.0)
    if isinstance(given, str):
        if match := _WEIGHED.fullmatch(given):
            weight, given = match[1], match[2]
        given, sign, fragment = given.partition("#")
        tag = tag or (fragment if sign else _digest_of(given, options))
    if tag is None:
        driver_for(given)  # What is no store at all is said first.
        raise ConfigurationError(
            f"a live {type(given).__qualname__} says no name by which it is known again: give it a tag, as in "
            '[{"target": handle, "tag": "east"}, …]'
        )
    if not _TAG.fullmatch(str(tag)):
        # What was given is not told: it may be the rest of a password.
        raise ConfigurationError(
            "a store's tag is 1 to 16 of a to z, 0 to 9, - and _, behind the # of its URL; in a user or password the "
            "sign # is written %23"
        )
    return Member(given, str(tag), _weight(weight))


def _weight(given: Any) -> float:
    try:
        weight = float(given)
    except (TypeError, ValueError):
        weight = -1.0
    if not 0.0 < weight < float("inf"):
        raise ConfigurationError(
            f"the weight of a store is a number above 0, against that of the others; got {given!r}"
        )
    return weight


def _weighed(members: list[Member], weights: Any) -> list[Member]:
    if weights is None:
        return members
    if isinstance(weights, str):
        weights = weights.split(",")
    if isinstance(weights, Mapping):
        unknown = sorted(set(weights) - {member.tag for member in members})
        if unknown:
            raise ConfigurationError(f"expected weights by the tags of stores, got one for {', '.join(unknown)}")
        return [member._replace(weight=_weight(weights.get(member.tag, member.weight))) for member in members]
    if len(weights) != len(members):
        raise ConfigurationError(f"expected a weight for each of {len(members)} stores, got {len(weights)}")
    return [member._replace(weight=_weight(weight)) for member, weight in zip(members, weights, strict=True)]


def _digest_of(url: str, options: Mapping[str, Any]) -> str:
    """What tells one store from another, whoever asks and however: by whom and how it is asked may change."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError("expected stores as URLs; one of them cannot be read") from error
    scheme = parts.scheme.lower()
    family = _FAMILIES.get(scheme, scheme.partition("+")[0])
    place = parts.netloc.rpartition("@")[2].lower().removesuffix(_PORTS.get(family, "\0"))
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()} | dict(options)
    named = {"namespace": _DEFAULT_NAMESPACE} | {name: str(asked[name]) for name in _PLACES if name in asked}
    path = unquote(parts.path)
    if family == "sqlite":
        path = str(Path(path[1:]).resolve())
    elif family == "redis":
        path = "" if path in ("/", "/0") else path
    text = "\0".join([family, place, path, *(f"{name}={value}" for name, value in sorted(named.items()))])
    return blake2b(text.encode(), digest_size=4).hexdigest()
