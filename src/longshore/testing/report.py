"""What was promised, tested, refused, skipped and failed."""

from __future__ import annotations

import json
import sys
import textwrap
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import pytest

from longshore.contract import Driver, Features, Limits
from longshore.registry import without_password

LAYERS = ("promises", "races", "faults", "model", "cost", "transactions", "wakeups")
KIT = "longshore.testing."
REFUSALS = {
    "TRANSACTIONS": "test_tx_is_refused_where_there_are_no_transactions",
    "WAKEUPS": "test_a_listener_without_wake_ups_sleeps",
}
"""Which test shows that a feature which is not promised is refused; the others have no call that could be refused."""


def layer_of(item: pytest.Item) -> str | None:
    """The layer of the kit in which a test stands, None if it is no test of the kit."""
    module = getattr(getattr(item, "function", None), "__module__", "")
    name = module.removeprefix(KIT).partition(".")[0]
    return name if module.startswith(KIT) and name in LAYERS else None


@dataclass
class Proof:
    """What became of one test."""

    layer: str
    name: str
    sentence: str
    outcome: str
    reason: str = ""
    seconds: float = 0.0


class Report:
    """A pytest plugin that keeps what became of each test, and what the driver says of itself."""

    def __init__(self, url: str | None, driver: str | None) -> None:
        self.url = without_password(url or "")
        self.driver = driver or ""
        self.features = Features(0)
        self.limits = Limits()
        self.problems: list[str] = []
        self._proofs: dict[str, Proof] = {}

    @property
    def proofs(self) -> list[Proof]:
        """What became of each test, layer by layer."""
        return sorted(self._proofs.values(), key=lambda proof: LAYERS.index(proof.layer))

    def met(self, driver: Driver) -> None:
        """Keeps what a connected driver says of itself."""
        self.driver = f"{type(driver).__module__}:{type(driver).__qualname__}"
        self.features, self.limits = driver.features, driver.limits

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Each test is known by its sentence."""
        layer = layer_of(item)
        if layer:
            sentence = " ".join((getattr(item, "function").__doc__ or "").split())  # noqa: B009
            self._proofs[item.nodeid] = Proof(layer, item.name, sentence, "not run")

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """What was not asked for is not reported."""
        for item in items:
            self._proofs.pop(item.nodeid, None)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """What cannot be collected cannot be proven."""
        if report.failed:
            self.problems.append(report.longreprtext)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test has failed if any of its phases has."""
        proof = self._proofs.get(report.nodeid)
        if proof is None:
            return
        proof.seconds += report.duration
        if report.failed:
            proof.outcome = "failed"
            proof.reason = "\n".join(part for part in (proof.reason, crash_of(report)) if part)
        elif report.skipped and isinstance(report.longrepr, tuple):
            proof.outcome, proof.reason = "skipped", report.longrepr[2].removeprefix("Skipped: ")
        elif report.when == "call":
            proof.outcome = "passed"

    def refused(self) -> list[str]:
        """The features that are not promised, and were shown to be refused."""
        passed = {proof.name for proof in self.proofs if proof.outcome == "passed"}
        return [name for name, test in REFUSALS.items() if Features[name] not in self.features and test in passed]


def crash_of(report: pytest.TestReport) -> str:
    """What was raised, and where."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return f"{crash.path}:{crash.lineno}: {crash.message}" if crash else report.longreprtext


def names_of(features: Features) -> list[str]:
    """The names of features, in their order."""
    return [feature.name or "" for feature in features]


def print_report(report: Report, form: str) -> None:
    """Prints what was proven."""
    text = json.dumps(as_data(report), indent=2) if form == "json" else as_text(report)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def as_data(report: Report) -> dict[str, Any]:
    """The report, for programs."""
    return {
        "url": report.url,
        "driver": report.driver,
        "promised": names_of(report.features),
        "not promised": names_of(~report.features),
        "refused": report.refused(),
        "limits": {name: getattr(report.limits, name) for name in report.limits.__struct_fields__},
        "outcomes": dict(Counter(proof.outcome for proof in report.proofs)),
        "problems": report.problems,
        "tests": [asdict(proof) for proof in report.proofs],
    }


def as_text(report: Report) -> str:
    """The report, for people."""
    lines = [f"{report.driver} at {report.url}", ""]
    lines += [f"promised      {', '.join(names_of(report.features)) or 'nothing beyond the contract'}"]
    lines += [f"not promised  {', '.join(names_of(~report.features)) or 'nothing'}"]
    lines += [f"refused       {', '.join(report.refused()) or 'nothing'}", ""]
    return "\n".join([*lines, *_table(report), *_skipped(report), *_failed(report), *report.problems])


def _table(report: Report) -> list[str]:
    outcomes = ("passed", "failed", "skipped")
    lines = [f"{'layer':14}" + "".join(f"{outcome:>9}" for outcome in outcomes) + f"{'seconds':>9}"]
    for layer in LAYERS:
        proofs = [proof for proof in report.proofs if proof.layer == layer]
        found = Counter(proof.outcome for proof in proofs)
        if proofs:
            counts = "".join(f"{found[outcome]:9}" for outcome in outcomes)
            lines.append(f"{layer:14}{counts}{sum(proof.seconds for proof in proofs):9.1f}")
    return lines


def _skipped(report: Report) -> list[str]:
    reasons = Counter(proof.reason for proof in report.proofs if proof.outcome == "skipped")
    return ["", *(f"skipped {times:3}   {reason}" for reason, times in sorted(reasons.items()))] if reasons else []


def _failed(report: Report) -> list[str]:
    lines: list[str] = []
    for proof in report.proofs:
        if proof.outcome in ("failed", "not run"):
            lines += ["", f"{proof.outcome.upper()} {proof.layer}: {proof.name}", textwrap.indent(proof.sentence, "  ")]
            lines += [textwrap.indent(proof.reason, "    ")]
    return lines
