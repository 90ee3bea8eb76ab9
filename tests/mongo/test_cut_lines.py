"""Connections that break in the middle of every method, at each of its trips."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faults.cut_lines import CutLines
from faults.line import Line


class TestCutLines(CutLines):
    """All of it."""

    @pytest.fixture
    def line(self, url: str) -> Iterator[Line]:
        line = Line(url, greetings=(b"hello", b"ismaster"))
        yield line
        line.close()

    @pytest.fixture(autouse=True)
    def asks_again_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """After a connection broke pymongo asks a server for nothing for half a second: here, hundreds of times."""
        monkeypatch.setattr("pymongo.common.MIN_HEARTBEAT_INTERVAL", 0.01)
