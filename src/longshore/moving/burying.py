"""Rescue at a source that no worker serves any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from longshore.contract import SECOND
from longshore.guard import Guard
from longshore.holders import lapsed_holders, rescue
from longshore.worker.contact import Contact

_HEARTBEAT: Final = 15.0
_LEASE: Final = 60.0


class Burying:
    """Frees the jobs of holders whose lease has lapsed, by the rules of every worker (docs/design/leases.md)."""

    def __init__(self, store: Guard, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._contact = Contact(_HEARTBEAT, _LEASE)

    def look(self) -> None:
        """Looks for the dead once."""
        if not self._may_judge():
            return
        lapsed = lapsed_holders(self._store)
        for holder in lapsed if lapsed and self._may_judge() else ():
            rescue(self._store, holder, by="a move", lease=round(_LEASE * SECOND))

    def _may_judge(self) -> bool:
        self._contact.held(self._monotonic(), self._store.now())
        return self._contact.may_rescue(self._monotonic())
