"""What a worker does when it is told to from afar."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from longshore.errors import InvalidValue
from longshore.worker.performing import Stopped
from longshore.worker.runs import Run
from longshore.worker.team import Team

MOST_SLOTS: Final = 10_000
_SIGNALS: Final = ("INT", "TERM", "KILL", "USR1", "USR2")


class Signalled(Protocol):
    """A place whose runs can be sent signals."""

    def signal(self, number: int) -> bool:
        """Sends one; False: the run is over."""


class Controls:
    """The built-in commands, by name."""

    def __init__(self, team: Team) -> None:
        self._team = team
        self.commands: Mapping[str, Callable[..., Any]] = {
            "pause": self._pause,
            "resume": self._resume,
            "scale": self._scale,
            "stop": self._stop,
            "signal": self._signal,
        }

    def _pause(self) -> None:
        self._team.pause()

    def _resume(self) -> None:
        self._team.resume()

    def _scale(self, slots: Any) -> None:
        if not isinstance(slots, int) or not 0 <= slots <= MOST_SLOTS:
            raise InvalidValue(f"slots must be a number from 0 to {MOST_SLOTS:,}; it is {slots!r}")
        self._team.scale(slots)

    def _stop(self, identity: str) -> None:
        self._run_of(identity).interrupt(Stopped)

    def _signal(self, identity: str, name: str) -> None:
        run = self._run_of(identity)
        if name not in _SIGNALS:
            raise InvalidValue(f"the signal must be one of {', '.join(_SIGNALS)}; it is {name!r}")
        if not run.apart:
            raise InvalidValue(
                f"{identity} shares its worker's process: only a task with executor='process' can be sent a signal"
            )
        place: Any = run.place
        sent: Signalled | None = place
        if sent is None or not sent.signal(signal.Signals[f"SIG{name}"]):
            raise InvalidValue(f"the process of {identity} has not begun, or is over")

    def _run_of(self, identity: str) -> Run:
        run = self._team.run_of(identity)
        if run is None:
            raise InvalidValue(f"job {identity} does not run here any more")
        return run
