"""Measure a store's limit, Longshore and its peers, and write what was found to ``benchmarks/RESULTS.md``."""

import argparse
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.chapters import put
from benchmarks.machine import facts, processor_time, stolen_since, strain
from benchmarks.programs import ADDRESSES
from benchmarks.report import page
from benchmarks.run import QUICK, THOROUGH, run


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("--store", choices=ADDRESSES, default="sqlite")
    options.add_argument("--quick", action="store_true", help="a tenth of the jobs, one round, in under 40 seconds")
    options.add_argument("--only", type=lambda text: text.split(","), help="some programs of the store, with commas")
    options.add_argument(
        "--backlog-rounds",
        type=int,
        help="pairs to drain, with a backlog and without; 7 if not given, 1 if quick",
    )
    options.add_argument("--disk", type=Path, default=real_disk(), help="directory on the disk to measure")
    options.add_argument(
        "--output",
        type=Path,
        help="where to write the page; a whole run writes the store's chapter of RESULTS.md, any other prints it",
    )
    return options


def real_disk() -> Path:
    """A directory that lasts: the usual place for temporary files is memory on many systems."""
    lasting = Path("/var/tmp")
    return lasting if lasting.is_dir() else Path(tempfile.gettempdir())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Measure what was asked for, and write or print the page."""
    # Whoever ends this program ends its servers with it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    parser = _parser()
    arguments = parser.parse_args()
    store, programs = arguments.store, ADDRESSES[arguments.store]
    names = arguments.only or list(programs)
    if unknown := set(names) - set(programs):
        parser.error(f"expected some of {', '.join(programs)}, came {', '.join(sorted(unknown))}")
    known, before, wanted = facts(store), strain(arguments.disk), processor_time()
    effort = QUICK if arguments.quick else THOROUGH
    effort = replace(effort, backlog_rounds=arguments.backlog_rounds or effort.backlog_rounds)
    results = run(store, names, effort, arguments.disk, _say)
    known |= {
        f"{name}, before and after": f"{value}, {after}"
        for (name, value), after in zip(before.items(), strain(arguments.disk).values(), strict=True)
    }
    known |= stolen_since(wanted)
    text = page(results, known, effort)
    whole = not arguments.quick and names == list(programs)
    if arguments.output:
        arguments.output.write_text(text)
    elif whole:
        put(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
