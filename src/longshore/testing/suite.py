"""The whole suite, to inherit from."""

from __future__ import annotations

from longshore.testing.cost import Costs
from longshore.testing.faults import Faults
from longshore.testing.model import Model
from longshore.testing.promises import Promises
from longshore.testing.races import Races
from longshore.testing.transactions import Transactions
from longshore.testing.wakeups import WakeUps


class DriverSuite(Promises, Races, Faults, Model, Costs, Transactions, WakeUps):
    """Everything that a driver must show: inherit, and add the fixture `target`."""
