"""What commands print: JSON, a table for people, or lines of fields between tabs where nobody looks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from longshore.contract import State


def print_json(value: object) -> None:
    """Prints a value as JSON: states by name, moments in ISO 8601; what has no form in JSON as a text."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False, default=str))


def plain(value: object) -> Any:
    """A value in what JSON has."""
    if isinstance(value, Struct):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(inner) for key, inner in value.items()}
    if isinstance(value, State):
        return value.name.lower()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints rows: as a table on a terminal, else with tabs between them, so that scripts can read them."""
    shown = [[text(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in (list(columns), *shown):
            print("\t".join(line))
        return
    from rich.console import Console

    Console().print(table(columns, shown))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> Any:
    """A table for a terminal."""
    from rich.markup import escape
    from rich.table import Table

    made = Table(title=title, box=None, header_style="bold", pad_edge=False, title_justify="left")
    for position, column in enumerate(columns):
        # What a row is named by is to be copied into the next command, so it is never cut.
        made.add_column(column, overflow="fold", no_wrap=position == 0)
    for row in rows:
        made.add_row(*(escape(text(cell)) for cell in row))
    return made


def text(value: object) -> str:
    """A cell: nothing for None, moments to the second, no line breaks or tabs."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, list | tuple):
        return ", ".join(text(inner) for inner in value)
    if isinstance(value, State):
        return value.name.lower()
    return " ".join(str(value).split())
