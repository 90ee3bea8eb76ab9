"""Every Python block of the documentation runs, page by page; every shell block names commands that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.joinpath("docs").glob("*.md"))]
FOLLOWED = {"tutorial.md"}
"""Pages that a test of their own follows step by step."""
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TARGETS = set(re.findall(r"^([a-z]+):", ROOT.joinpath("Makefile").read_text(), re.MULTILINE))


def blocks(page: Path, language: str) -> list[str]:
    return [code for name, code in BLOCK.findall(page.read_text()) if name == language]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python") and page.name not in FOLLOWED], ids=lambda page: page.name
)
def test_the_python_blocks_of_a_page_run_in_order(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks(page, "python")))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh")], ids=lambda page: page.name)
def test_shell_blocks_name_make_targets_that_exist(page: Path) -> None:
    for line in "\n".join(blocks(page, "sh")).splitlines():
        if line.startswith("make "):
            assert line.split()[1] in TARGETS, line


def anchors(page: Path) -> set[str]:
    """What links within a page may name: its headings, as they are shown on the web."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    led = page.parent / path if path else page
    return led.exists() and (not anchor or anchor in anchors(led))


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in [*PAGES, *ROOT.joinpath("docs").rglob("*/*.md")]
        for target in re.findall(r"\]\(([^):]+)\)", page.read_text())
        if not leads_somewhere(page, target)
    ]
    assert not broken


def test_the_index_leads_to_every_page() -> None:
    index = ROOT.joinpath("docs", "README.md").read_text()
    assert not [page.name for page in PAGES if page.name != "README.md" and f"({page.name}" not in index]
