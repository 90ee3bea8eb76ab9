"""The command line: ``longshore``. Importing the library imports none of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and exits: with 0 when done, 1 when there is no such thing or it failed, 2 when misused."""
    from longshore.cli.running import run

    sys.exit(run(sys.argv[1:] if arguments is None else arguments))
