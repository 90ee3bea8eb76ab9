"""What commands print on a terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from longshore.cli.printing import table


def test_what_names_a_row_is_never_cut() -> None:
    console = Console(file=StringIO(), width=60)
    identity = "01M80NYZZWF8Z8D2BF37CJ4EC2"
    rows = [(identity, "succeeded", "default", "a_task_with_a_long_name", "2026-11-22 03:49:25Z")]
    console.print(table(("id", "state", "queue", "task", "created"), rows))
    assert identity in console.file.getvalue()  # type: ignore[attr-defined]
