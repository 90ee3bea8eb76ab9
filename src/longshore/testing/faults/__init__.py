"""What becomes of jobs and records when a call is cut, an answer lost, a process killed."""

from __future__ import annotations

from longshore.testing.faults.killed import KilledProcesses
from longshore.testing.faults.lost_answers import LostAnswers


class Faults(LostAnswers, KilledProcesses):
    """Every repeat is harmless, and what was acknowledged is there."""


__all__ = ["Faults"]
