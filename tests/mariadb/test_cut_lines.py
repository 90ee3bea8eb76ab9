"""Connections that break in the middle of every method."""

from __future__ import annotations

import pytest

from faults.cut_lines import CutLines

pytestmark = pytest.mark.timed


class TestCutLines(CutLines):
    """All of it."""
