"""Whether this process may judge that others are dead."""

from __future__ import annotations

from longshore.contract import SECOND, Instant


class Contact:
    """The contact of this process with the store, from which it judges others.

    After an outage everybody's lease has lapsed though everybody lives, and so it is when the store's clock jumps or
    the machine has slept. So nobody rescues before two heartbeats of unbroken contact, nor for one lease after a jump.

    Args:
        heartbeat: seconds.
        lease: seconds.
    """

    def __init__(self, heartbeat: float, lease: float) -> None:
        self._heartbeat = heartbeat
        self._lease = lease
        self._since: float | None = None
        self._last: tuple[float, Instant] | None = None
        self._jumped = float("-inf")

    def held(self, monotonic: float, now: Instant) -> None:
        """The store answered: at ``monotonic`` by the process's clock, in seconds, and ``now`` by its own."""
        if self._last is not None:
            passed, shown = monotonic - self._last[0], (now - self._last[1]) / SECOND
            if abs(shown - passed) > self._heartbeat:
                self._jumped = monotonic
        if self._since is None:
            self._since = monotonic
        self._last = (monotonic, now)

    def broken(self) -> None:
        """The store did not answer."""
        self._since = None

    def may_rescue(self, monotonic: float) -> bool:
        """Whether a lapsed lease means that its holder is dead."""
        steady = self._since is not None and monotonic - self._since >= 2 * self._heartbeat
        return steady and monotonic - self._jumped >= self._lease
