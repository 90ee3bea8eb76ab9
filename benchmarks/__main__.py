"""Measure SQLite's limit, Longshore and its peers, and write what was found to ``benchmarks/RESULTS.md``."""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.machine import facts, strain
from benchmarks.programs import ADDRESSES
from benchmarks.report import page
from benchmarks.run import QUICK, THOROUGH, run

RESULTS = Path(__file__).parent / "RESULTS.md"


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("--quick", action="store_true", help="a tenth of the jobs, one round, in under 40 seconds")
    options.add_argument("--only", type=_names, default=list(ADDRESSES), help=f"some of {','.join(ADDRESSES)}")
    options.add_argument("--disk", type=Path, default=_real_disk(), help="directory on the disk to measure")
    options.add_argument(
        "--output", type=Path, help="where to write the page; a whole run writes RESULTS.md, any other prints it"
    )
    return options


def _names(text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := set(chosen) - set(ADDRESSES):
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(ADDRESSES)}, came {', '.join(sorted(unknown))}")
    return chosen


def _real_disk() -> Path:
    # /tmp is memory on many systems.
    lasting = Path("/var/tmp")
    return lasting if lasting.is_dir() else Path(tempfile.gettempdir())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Measure what was asked for, and write or print the page."""
    arguments = _parser().parse_args()
    known, before = facts(), strain(arguments.disk)
    effort = QUICK if arguments.quick else THOROUGH
    results = run(arguments.only, effort, arguments.disk, _say)
    known |= {
        f"{name}, before and after": f"{value}, {after}"
        for (name, value), after in zip(before.items(), strain(arguments.disk).values(), strict=True)
    }
    text = page(results, known, effort)
    whole = not arguments.quick and arguments.only == list(ADDRESSES)
    output = arguments.output or (RESULTS if whole else None)
    if output is None:
        print(text)
    else:
        output.write_text(text)
        _say(f"written to {output}")


if __name__ == "__main__":
    main()
