"""Unique jobs: which calls are one and the same, for how long, and what becomes of another while one is there."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from hashlib import blake2b
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from longshore.contract import Duration, UniqueScope
from longshore.durations import Seconds, microseconds
from longshore.errors import InvalidValue

_LONGEST_KEY: Final = 200
_SCOPES: Final = {"start": UniqueScope.START, "end": UniqueScope.END}


class Unique(Struct, frozen=True, kw_only=True):
    """At most one job of a task and key is there at a time.

    Attributes:
        key: calls of the task with this key are the same; by default those with equal arguments are.
        by: only these arguments, by name, must be equal.
        until: the key is held until the job begins to run, until it has ended, or for so long after it was enqueued.
        if_held: what enqueuing does while another job holds the key. ``"skip"`` stores nothing and gives the handle of
            the other; ``"raise"`` raises `longshore.errors.UniqueConflict`; ``"replace"`` gives the other the new
            arguments and options in place of its own, under its own id, as long as it waits.
    """

    key: str | None = None
    by: tuple[str, ...] = ()
    until: Literal["start", "end"] | Seconds = "end"
    if_held: Literal["skip", "raise", "replace"] = "skip"

    def __post_init__(self) -> None:
        _check_key(self.key, self.by)
        if self.if_held not in _RULES:
            raise InvalidValue(f"if_held must be one of {', '.join(_RULES)}; it is {self.if_held!r}")
        if isinstance(self.until, str):
            if self.until not in _SCOPES:
                raise InvalidValue(f"until must be 'start', 'end' or a length of time; it is {self.until!r}")
        elif self.if_held == "replace":
            raise InvalidValue("only a job that waits can be replaced: until must be 'start' or 'end', not a length")
        else:
            microseconds(self.until, name="until")


class Debounce(Struct, frozen=True):
    """Runs once calls have ceased for a while: each one puts the job off anew, and gives it its own arguments.

    Attributes:
        wait: how long after the last call it runs.
        at_most: how long after the first call it runs in any case.
        key, by: which calls are the same; see `Unique`.
    """

    wait: Seconds
    at_most: Seconds | None = None
    key: str | None = None
    by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_key(self.key, self.by)
        wait = microseconds(self.wait, name="wait")
        if self.at_most is not None and microseconds(self.at_most, name="at_most") < wait:
            raise InvalidValue(f"at_most must not be shorter than wait; they are {self.at_most!r} and {self.wait!r}")


class Throttle(Struct, frozen=True):
    """Runs at most once in a while: calls within ``every`` after the first store nothing, and give its handle.

    Attributes:
        every: the length of the period, which begins when a job is enqueued.
        key, by: which calls are the same; see `Unique`.
    """

    every: Seconds
    key: str | None = None
    by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_key(self.key, self.by)
        if not microseconds(self.every, name="every"):
            raise InvalidValue("every must be longer than nothing")


Uniqueness: TypeAlias = Unique | Debounce | Throttle


class Rule(Enum):
    """What becomes of a call whose key is held."""

    SKIP = auto()
    RAISE = auto()
    REPLACE = auto()
    DEBOUNCE = auto()


_RULES: Final = {"skip": Rule.SKIP, "raise": Rule.RAISE, "replace": Rule.REPLACE}


class Slot(Struct, frozen=True, gc=False):
    """The key that a call wants, for how long, and what is done while another has it."""

    key: str
    scope: UniqueScope
    rule: Rule
    period: Duration | None = None
    wait: Duration = 0
    at_most: Duration | None = None


def slot_of(unique: Uniqueness, task: str, identity: Callable[[tuple[str, ...]], bytes]) -> Slot:
    """The slot that a call of a task wants.

    Args:
        identity: the arguments of these names, or all if none is named, as bytes that are equal when they are.

    Raises:
        InvalidValue: there is no argument of a name that was given, or it is no rule.
    """
    if not isinstance(unique, (Unique, Debounce, Throttle)):
        raise InvalidValue(f"unique must be a Unique, Debounce or Throttle; it is {unique!r}")
    own = unique.key if unique.key is not None else blake2b(identity(unique.by), digest_size=16).hexdigest()
    key = _within_limits(f"{task}:{own}")
    if isinstance(unique, Throttle):
        return Slot(key, UniqueScope.PERIOD, Rule.SKIP, microseconds(unique.every))
    if isinstance(unique, Debounce):
        most = None if unique.at_most is None else microseconds(unique.at_most)
        return Slot(key, UniqueScope.START, Rule.DEBOUNCE, wait=microseconds(unique.wait), at_most=most)
    rule = _RULES[unique.if_held]
    if isinstance(unique.until, str):
        return Slot(key, _SCOPES[unique.until], rule)
    return Slot(key, UniqueScope.PERIOD, rule, microseconds(unique.until))


def _check_key(key: str | None, by: tuple[str, ...]) -> None:
    if key is not None and by:
        raise InvalidValue(f"give key or by, not both; they are {key!r} and {by!r}")
    names: object = by
    if key == "" or not isinstance(names, tuple):
        raise InvalidValue(f"key must not be empty, and by must be a tuple of names; they are {key!r} and {by!r}")


def _within_limits(key: str) -> str:
    data = key.encode(errors="surrogatepass")
    return key if len(data) <= _LONGEST_KEY else blake2b(data, digest_size=32).hexdigest()
