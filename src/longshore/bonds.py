"""What ties a job to others: its parents, its key, its group, and the calls that are made at its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from longshore.contract import IfParentFails
from longshore.errors import InvalidValue
from longshore.guard import check_text

if TYPE_CHECKING:
    from longshore.tasks import Call

MOST_PARENTS: Final = 1_000
MOST_TURNS: Final = 1_000
_IF_PARENT_FAILS: Final = {"cancel": IfParentFails.CANCEL, "wait": IfParentFails.WAIT}


class Named(Protocol):
    """A handle: of a job or a group."""

    @property
    def id(self) -> str: ...


Parent: TypeAlias = "str | Named | Call[Any]"
"""A job's id, its handle, or another call of the same bulk."""


class Bonds(Struct, frozen=True):
    """Of one call. See `longshore.tasks.Task.options`."""

    after: tuple[Parent, ...] = ()
    lax: bool = False
    if_parent_fails: IfParentFails = IfParentFails.CANCEL
    key: str | None = None
    turns: int = 1
    group: str | None = None
    on_success: Call[Any] | None = None
    on_failure: Call[Any] | None = None
    on_end: Call[Any] | None = None

    def __post_init__(self) -> None:
        if len(self.after) > MOST_PARENTS:
            raise InvalidValue(
                f"a job can have {MOST_PARENTS:,} parents; {len(self.after):,} are given: put the many into a group"
            )
        if not 1 <= self.turns <= MOST_TURNS:
            raise InvalidValue(f"turns must be between 1 and {MOST_TURNS:,}; they are {self.turns}")
        if self.key is None and self.turns != 1:
            raise InvalidValue(f"turns are those of a key: give key too, or leave out turns={self.turns}")


def bonds_of(
    after: tuple[Parent, ...],
    lax: bool,
    if_parent_fails: Literal["cancel", "wait"],
    key: str | None,
    turns: int,
    group: str | Named | None,
    calls: tuple[Call[Any] | None, Call[Any] | None, Call[Any] | None],
) -> Bonds | None:
    """The bonds of a call; None where it has none.

    Raises:
        InvalidValue: one is not of the form that is needed.
    """
    if if_parent_fails not in _IF_PARENT_FAILS:
        raise InvalidValue(f"if_parent_fails must be one of {', '.join(_IF_PARENT_FAILS)}; it is {if_parent_fails!r}")
    if lax and if_parent_fails == "wait":
        raise InvalidValue("a lax job runs however its parents end: give lax or if_parent_fails='wait', not both")
    name = group if group is None or isinstance(group, str) else group.id
    bonds = Bonds(after, lax, _IF_PARENT_FAILS[if_parent_fails], key, turns, name, *calls)
    return None if bonds == Bonds() else bonds


def several(after: Parent | Iterable[Parent]) -> tuple[Parent, ...]:
    """One parent or many, as a tuple."""
    if isinstance(after, str) or not isinstance(after, Iterable):
        return (after,)
    return tuple(after)


def check_group(name: str) -> str:
    """Refuses a group's name from which no id of a callback could be made.

    Raises:
        InvalidValue: it is empty, too long, or holds what no id can hold.
    """
    check_text(f"group:{name}:done" if name else name, "the id of a group's callback, made of the group's name,")
    return name
