"""What ties a job to others: its parents, its key, its group, and the calls that are made at its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

from longshore.calls.call import Bonds, Call, Named, Parent
from longshore.contract import IfParentFails
from longshore.errors import InvalidValue
from longshore.guard import check_text

_IF_PARENT_FAILS: Final = {"cancel": IfParentFails.CANCEL, "wait": IfParentFails.WAIT}


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
