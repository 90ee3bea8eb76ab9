"""Connections that break in the middle of every method."""

from __future__ import annotations

from faults.cut_lines import CutLines


class TestCutLines(CutLines):
    """All of it."""
