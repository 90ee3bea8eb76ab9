"""One run of the command line: whatever goes wrong is one line on standard error, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from longshore.cli.commands import commands
from longshore.errors import ConfigurationError, InvalidValue, LongshoreError

DONE: Final = 0
FAILED: Final = 1
MISUSED: Final = 2
INTERRUPTED: Final = 130


def run(arguments: Sequence[str]) -> int:
    """Runs one command, and gives the exit code."""
    try:
        code = _tree()(args=list(arguments), prog_name="longshore", standalone_mode=False)
        return code if isinstance(code, int) else DONE
    except TyperException as error:
        # Without words there is no message: the help was printed.
        message = error.format_message()
        return _complain(f"{message} (longshore --help)", MISUSED) if message.strip() else MISUSED
    except (ConfigurationError, InvalidValue) as error:
        return _complain(str(error), MISUSED)
    except LongshoreError as error:
        return _complain(str(error), FAILED)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED


@cache
def _tree() -> Any:
    """All commands; to make them takes as long as to run one."""
    return get_command(commands)


def _complain(message: str, code: int) -> int:
    print(f"longshore: {' '.join(message.split())}", file=sys.stderr)
    return code
