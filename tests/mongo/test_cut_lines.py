"""Connections that break in the middle of the methods that take more than one trip."""

from __future__ import annotations

from typing import Any

import pytest

from faults.cut_lines import CutLines
from faults.line import Lost


class TestCutLines(CutLines):
    """Some of it: after a connection broke pymongo asks a server for nothing for half a second."""

    @pytest.mark.parametrize("lost", list(Lost))
    @pytest.mark.parametrize("method", ["insert two", "exchange", "write", "delete"])
    def test_whatever_is_lost_a_call_sent_again_leaves_what_it_should(
        self, near: Any, far: Any, line: Any, method: str, lost: Lost
    ) -> None:
        super().test_whatever_is_lost_a_call_sent_again_leaves_what_it_should(near, far, line, method, lost)
