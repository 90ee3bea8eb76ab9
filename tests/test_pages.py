"""Pages that are drawn from the code are as the code is, and lists of what there is are complete."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

import longshore
from longshore import errors
from pages import features_table, reference_page

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("drawn", [reference_page, features_table], ids=lambda drawn: drawn.PAGE.name)
def test_a_drawn_page_is_as_the_code_is(drawn: ModuleType) -> None:
    assert drawn.PAGE.read_text() == drawn.page(), f"{drawn.PAGE.name} is old: run make pages"


def test_every_exported_name_is_in_the_reference_with_what_it_is_for() -> None:
    page = reference_page.PAGE.read_text()
    for name in longshore.__all__:
        said = re.search(rf"^### `{name}\b[^\n]*`\n\n(.+)$", page, re.MULTILINE)
        assert said, f"{name} is not in the reference"
        assert said[1] != ".", f"{name} has no docstring"


def tree(kind: type, depth: int = 0) -> list[tuple[str, int]]:
    """The errors below one of them, as they are drawn: each with how deep it stands."""
    below = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    return [(kind.__name__, depth), *(line for each in below for line in tree(each, depth + 1))]


def test_every_error_is_on_the_page_of_errors_and_no_other() -> None:
    rows = re.findall(r"^\| (?:↳ )*`(\w+)` \|(.+)\|(.+)\|$", DOCS.joinpath("errors.md").read_text(), re.MULTILINE)
    names = [name for name, _ in tree(errors.LongshoreError)]
    assert sorted(name for name, _, _ in rows) == sorted(names)
    assert all(when.strip() and cure.strip() for _, when, cure in rows)


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    lines = re.findall(r"^    ((?:│   |    )*)[├└]── (\w+)", errors.__doc__ or "", re.MULTILINE)
    assert sorted((name, len(before) // 4 + 1) for before, name in lines) == sorted(tree(errors.LongshoreError)[1:])


def test_the_index_leads_to_every_page() -> None:
    index = DOCS.joinpath("README.md").read_text()
    missing = [page.name for page in DOCS.glob("*.md") if page.name != "README.md" and f"({page.name})" not in index]
    assert not missing, "docs/README.md is to lead to every page"
