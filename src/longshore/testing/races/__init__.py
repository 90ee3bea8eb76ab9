"""Many callers at once: threads, and processes where the store is shared."""

from __future__ import annotations

from longshore.testing.races.processes import ProcessRaces
from longshore.testing.races.record_races import RecordRaces
from longshore.testing.races.threads import ThreadRaces


class Races(ThreadRaces, RecordRaces, ProcessRaces):
    """Nothing is done twice, nothing is lost, nobody is locked out."""


__all__ = ["Races"]
