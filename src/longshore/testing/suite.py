"""The whole suite, to inherit from."""

from __future__ import annotations

from longshore.testing.promises import Promises


class DriverSuite(Promises):
    """Everything that a driver must show: inherit, and add the fixture `target`."""
