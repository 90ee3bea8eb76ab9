"""Jobs that an open transaction has changed: a claim passes over them and says so, and workers ask again."""

from __future__ import annotations

from faults.locked_rows import LockedRows


class TestLockedRows(LockedRows):
    """All of it."""
