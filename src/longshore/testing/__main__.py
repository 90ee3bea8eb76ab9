"""``python -m longshore.testing URL``: proves a driver on a store that may be filled and emptied."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from longshore.errors import ConfigurationError
from longshore.registry import driver_for
from longshore.testing.report import LAYERS

PROVEN, FAILED, BAD_USAGE = 0, 1, 2
NO_TESTS_RAN = 5
USAGE_ERROR = 4


def run_conformance(
    url: str,
    *,
    layers: Sequence[str] = (),
    as_json: bool = False,
    keyword: str | None = None,
    driver: str | None = None,
    more: Sequence[str] = (),
) -> int:
    """Runs the suite on a store, and prints what was promised, tested, refused, skipped and failed.

    Everything happens in the namespace ``conformance``, which is emptied before and after.

    Args:
        url: the store.
        layers: only these layers of the kit.
        as_json: print JSON, not text.
        keyword: only tests whose names match, as pytest's ``-k``.
        driver: ``module:class``, for a driver that no entry point names.
        more: options for pytest, the kit's own among them.

    Returns:
        0 when all that was promised was shown, 1 when anything failed, 2 when nothing could be tried.
    """
    problem = _problem(url, layers, driver)
    if problem:
        sys.stderr.write(problem + "\n")
        return BAD_USAGE
    arguments = [f"--longshore-url={url}", f"--longshore-report={'json' if as_json else 'text'}"]
    arguments += [f"--longshore-layer={layer}" for layer in layers]
    arguments += [f"--longshore-driver={driver}"] if driver else []
    arguments += ["-k", keyword] if keyword else []
    # In a process of its own: pytest must be there before the suite is imported, or its failures show no values.
    code = subprocess.run(
        [sys.executable, "-m", "pytest", *_without_surroundings(), *arguments, *more], check=False
    ).returncode
    if code == NO_TESTS_RAN:
        sys.stderr.write(f"expected at least one test that matches {keyword!r}; none does\n")
    return code if code in (PROVEN, FAILED) else BAD_USAGE if code in (NO_TESTS_RAN, USAGE_ERROR) else FAILED


def _problem(url: str, layers: Sequence[str], driver: str | None) -> str | None:
    unknown = [layer for layer in layers if layer not in LAYERS]
    if unknown:
        return f"expected a layer among {', '.join(LAYERS)}, not {', '.join(unknown)}"
    if importlib.util.find_spec("hypothesis") is None:
        return "the kit needs Hypothesis: pip install 'longshore[testing]'"
    try:
        if not driver:
            driver_for(url)
    except ConfigurationError as error:
        return str(error)
    return None


def _without_surroundings() -> list[str]:
    """Keeps the configuration and the plugins of the place where it happens to run out of it."""
    here = str(Path(__file__).parent)
    plugins = ["--disable-plugin-autoload", "-p", "longshore.testing.plugin", "-p", "no:terminal"]
    plugins += ["-p", "no:cacheprovider"]
    return ["-c", os.devnull, "--rootdir", here, *plugins, str(Path(here) / "conformance.py")]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m longshore.testing", description=__doc__)
    parser.add_argument("url", help="a store that may be filled and emptied")
    parser.add_argument("--layer", action="append", default=[], choices=LAYERS, help="only this layer; repeatable")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("-k", dest="keyword", metavar="EXPR", help="only tests whose names match")
    parser.add_argument("--driver", metavar="MODULE:CLASS", help="a driver that no entry point names")
    given, more = parser.parse_known_args()
    return run_conformance(
        given.url, layers=given.layer, as_json=given.json, keyword=given.keyword, driver=given.driver, more=more
    )


if __name__ == "__main__":
    sys.exit(main())
