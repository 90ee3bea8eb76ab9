"""The pytest plugin: the fixtures for applications; the kit's options, and its rule about what may be skipped."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

# Before the kit's modules are imported, so that their failures show the values compared.
pytest.register_assert_rewrite(
    *(
        f"longshore.testing.{module}"
        for module in ("promises", "races", "faults", "model", "cost", "transactions", "wakeups", "samples")
    )
)

from longshore.testing.harness.fixtures import longshore_app, longshore_jobs  # noqa: E402
from longshore.testing.report import LAYERS, Report, layer_of, print_report  # noqa: E402

__all__ = ["longshore_app", "longshore_jobs"]

MAY_BE_SKIPPED = (
    "is not promised",
    "the store cannot tell what it examines",
    "a live handle cannot be given to another process",
)
KIT = Path(__file__).parent
PATIENCE = 600
"""Seconds for tests that look for the shortest failing sequence, or build a large backlog, where tests have a limit."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The application under test, and the kit's options."""
    parser.addini("longshore_app", "the application that the fixture longshore_app gives, as module:attribute")
    group = parser.getgroup("longshore", "proving a driver of Longshore")
    group.addoption("--longshore-examples", type=int, default=80, help="how many random sequences of calls are tried")
    group.addoption("--longshore-seed", type=int, default=None, help="which random sequences are tried")
    group.addoption("--longshore-backlog", type=int, default=20_000, help="jobs of each kind in the test of costs")
    group.addoption("--longshore-layer", action="append", choices=LAYERS, default=[], help="only this layer")
    group.addoption("--longshore-url", help="the store that longshore.testing.conformance proves")
    group.addoption("--longshore-namespace", default="conformance", help="what it fills and empties there")
    group.addoption("--longshore-driver", help="module:class, for a driver that no entry point names")
    group.addoption("--longshore-report", choices=("text", "json"), help="print what was proven, in place of pytest's")


def pytest_configure(config: pytest.Config) -> None:
    """Reports what was proven, when asked to."""
    form = config.getoption("--longshore-report")
    if form:
        report = Report(config.getoption("--longshore-url"), config.getoption("--longshore-driver"))
        config.pluginmanager.register(report, "longshore report")
        config.add_cleanup(lambda: print_report(report, form) if report.proofs or report.problems else None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the layers that were not asked for, and gives the slow tests time."""
    wanted = config.getoption("--longshore-layer")
    unwanted = [item for item in items if wanted and layer_of(item) not in (*wanted, None)]
    if unwanted:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if item not in unwanted]
    if config.pluginmanager.hasplugin("timeout"):
        for item in items:
            if layer_of(item) in ("model", "cost"):
                item.add_marker(pytest.mark.timeout(PATIENCE))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where the kit skips for another reason, that is a failure: it would look as if something had been proven. A
    fixture of the driver's author may skip, for want of a server."""
    report = yield
    if report.skipped and layer_of(item) is not None and call.excinfo and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if _is_by_the_kit(call.excinfo) and not any(allowed in reason for allowed in MAY_BE_SKIPPED):
            report.outcome = "failed"
            report.longrepr = f"a test of the kit may be skipped only for a feature that is not promised, not: {reason}"
    return report


def _is_by_the_kit(raised: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether it was raised in a file of the kit; pytest's own files, which pass it on, do not count."""
    places = [Path(entry.path) for entry in raised.traceback]
    own = [place for place in places if "_pytest" not in place.parts and "pluggy" not in place.parts]
    return bool(own) and own[-1].is_relative_to(KIT)
