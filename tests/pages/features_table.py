"""The table of README.md that tells what each driver promises, drawn from what the drivers declare."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

from core.states_page import table
from longshore.contract import Driver, Features, Limits
from longshore.registry import GROUP, load

PAGE = Path(__file__).parents[2] / "README.md"
PLACE = re.compile(r"(?<=<!-- features: drawn by `make pages` -->\n\n).*?(?=\n\n<!-- end of features -->)", re.DOTALL)
MEANINGS = {
    Features.DURABLE: "survives a crash of the machine",
    Features.SHARED: "several processes at once",
    Features.TRANSACTIONS: "jobs in your transaction",
    Features.WAKEUPS: "workers woken in milliseconds",
    Features.ONE_PLACE: "one exact order of all jobs",
}

SHOWN = {"multi": "a list of URLs, or `multi:URL URL`"}


def page() -> str:
    """README.md with the table as it should be."""
    text = PAGE.read_text()
    assert PLACE.search(text), "README.md has no place for the table of features"
    return PLACE.sub(lambda _: features_table(), text)


def features_table() -> str:
    """One row for each driver of this distribution."""
    assert set(MEANINGS) == set(Features), "say in a few words what the new feature means"
    promises = [f"{meaning} (`{feature.name}`)" for feature, meaning in MEANINGS.items()]
    head = ["URL", *promises, "largest payload", "jobs in one call"]
    return table(head, [row(kind, schemes) for kind, schemes in schemes_by_driver().items()])


def schemes_by_driver() -> dict[type[Driver], list[str]]:
    """The drivers that this distribution brings, each with the schemes that it serves; others may be installed too."""
    found: dict[type[Driver], list[str]] = {}
    ours = [entry.name for entry in distribution("longshore").entry_points if entry.group == GROUP]
    for scheme in sorted(ours):
        found.setdefault(load(scheme), []).append(scheme)
    return found


def row(kind: type[Driver], schemes: list[str]) -> list[str]:
    limits: Limits = kind.limits
    promised = ["yes" if feature in kind.features else "" for feature in MEANINGS]
    largest = f"{limits.payload / 1024**2:,.0f} MiB"
    return [
        ", ".join(SHOWN.get(scheme, f"`{scheme}://`") for scheme in schemes),
        *promised,
        largest,
        f"{limits.batch:,}",
    ]
