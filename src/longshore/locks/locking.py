"""How an application gives locks."""

from __future__ import annotations

from abc import ABC, abstractmethod

from longshore.durations import Seconds
from longshore.guard import Guard
from longshore.locks.lock import Lock


class Locking(ABC):
    """The part of an application that gives locks."""

    @property
    @abstractmethod
    def store(self) -> Guard:
        """The store that the locks are in."""

    def lock(
        self, name: str, *, holders: int = 1, lifetime: Seconds | None = 60.0, wait: Seconds | None = None
    ) -> Lock:
        """A lock by its name: ``with app.lock("printer"): …`` or ``async with``; whoever names it shares it.

        Args:
            name: 1 to 200 bytes.
            holders: how many may be inside at a time.
            lifetime: how long a hold lasts that is neither released nor extended; None, within a task: until its run is
                over, however that ends.
            wait: how long to wait for others to let go; 0: not at all, None: as long as it takes.

        Raises:
            InvalidValue: the name, or a number, is not of the form that is needed; or a lock without a lifetime is
                wanted outside of a task.
        """
        return Lock(self, name, holders=holders, lifetime=lifetime, wait=wait)
