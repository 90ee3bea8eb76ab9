"""A server that goes away under load and comes back."""

from __future__ import annotations

from faults.outages import Outages


class TestOutages(Outages):
    engine = "mariadb"
