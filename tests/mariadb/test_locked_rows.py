"""A claim passes over locked rows, and says so."""

from __future__ import annotations

from faults.locked_rows import LockedRows


class TestLockedRows(LockedRows):
    """All of it."""
