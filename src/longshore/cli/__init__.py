"""The command line: ``longshore``. Importing the library imports none of it."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line and exits."""
    from longshore.cli.commands import commands
    from longshore.errors import LongshoreError

    try:
        commands()
    except LongshoreError as error:
        print(f"longshore: {error}", file=sys.stderr)
        sys.exit(2)
