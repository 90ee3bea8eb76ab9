"""The time each layer of tests takes, beside what it should take by the table in CONTRIBUTING.md."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

ROW = re.compile(r"^\| (?P<name>[^|`]+) \| `(?P<folder>[^|`]+)` \| (?P<seconds>\d+) \|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Layer:
    """Tests below one path, and the seconds they may take together, set-up and tear-down included."""

    name: str
    folder: str
    seconds: float


def layers_of(text: str) -> list[Layer]:
    """The rows `| name | `folder` | seconds |` of a Markdown page."""
    return [Layer(row["name"].strip(), row["folder"], float(row["seconds"])) for row in ROW.finditer(text)]


def layers_in(page: Path) -> list[Layer]:
    """The layers a page names; ValueError when it names none, so that no budget is lost by a change of layout."""
    layers = layers_of(page.read_text())
    if not layers:
        raise ValueError(f"{page.name} holds no table of layers: expected rows like | core | `tests/` | 120 |")
    return layers


class Budgets:
    """A pytest plugin that adds up the time of each layer and prints which is over its own.

    It fails nothing: how fast a machine is varies more from test to test than over all, which `tests/run.py` judges.
    """

    def __init__(self, layers: list[Layer]) -> None:
        self._layers = sorted(layers, key=lambda layer: -len(layer.folder))
        self._spent: defaultdict[Layer, float] = defaultdict(float)

    def layer_of(self, path: str) -> Layer | None:
        """The layer with the longest folder that holds this path."""
        return next((layer for layer in self._layers if path.startswith(layer.folder)), None)

    def over(self) -> list[Layer]:
        """The layers that took longer than they may."""
        return [layer for layer, seconds in self._spent.items() if seconds > layer.seconds]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        layer = self.layer_of(report.nodeid)
        if layer:
            self._spent[layer] += report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._spent:
            return
        terminalreporter.section("seconds by layer")
        for layer, seconds in sorted(self._spent.items(), key=lambda item: item[0].folder):
            verdict = "  OVER ITS BUDGET" if seconds > layer.seconds else ""
            terminalreporter.line(f"{layer.name:24} {seconds:7.1f} of {layer.seconds:4.0f}{verdict}")
