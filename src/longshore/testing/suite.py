"""The whole suite, to inherit from."""

from __future__ import annotations

from longshore.testing.faults import Faults
from longshore.testing.promises import Promises
from longshore.testing.races import Races


class DriverSuite(Promises, Races, Faults):
    """Everything that a driver must show: inherit, and add the fixture `target`."""
