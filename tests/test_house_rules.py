"""The whole repository keeps the house rules, and each rule notices when it is broken."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

import house_rules

REPOSITORY = Path(__file__).parent.parent
CONTRACT = REPOSITORY / "src" / "longshore" / "contract.py"


def files(*folders: str, suffixes: Iterable[str] = (".py",)) -> list[Path]:
    """What git has or would take below these folders; everywhere when none is named."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *folders],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = [REPOSITORY / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes)]


def found(path: Path, problems: Iterable[str]) -> list[str]:
    return [f"{path.relative_to(REPOSITORY)}: {problem}" for problem in problems]


def test_git_lists_the_files() -> None:
    assert Path(__file__) in files("tests")


def test_no_file_is_too_long() -> None:
    lengths = {path: path.read_text().count("\n") for path in files(suffixes=(".py", ".lua", ".sql", ".sh"))}
    too_long = [
        f"{path.relative_to(REPOSITORY)}: {lines} lines"
        for path, lines in lengths.items()
        if lines > house_rules.LONGEST_FILE
    ]
    assert not too_long


def test_no_function_is_too_long() -> None:
    paths = files("src", "backends", "examples")
    assert not [line for path in paths for line in found(path, house_rules.long_functions(path.read_text()))]


def test_every_name_says_what_it_names() -> None:
    paths = files()
    assert not [line for path in paths for line in found(path, house_rules.empty_names(path.stem, path.read_text()))]


def test_no_test_sleeps() -> None:
    assert not [path for path in files("tests") if house_rules.SLEEP in path.read_text()]


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in files("src", "backends") if house_rules.lacks_docstring(path.read_text())]
    assert not silent


def test_nothing_names_one_machine() -> None:
    named = []
    for path in files(suffixes=()):
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue  # a picture, say
        named += found(path, sorted({match[0] for match in house_rules.OF_ONE_MACHINE.finditer(text)}))
    assert not named


def test_the_methods_of_every_driver_stand_in_the_order_of_the_contract() -> None:
    order = house_rules.contract_methods(CONTRACT.read_text())
    checked = {
        driver.name: found(path, house_rules.out_of_order(driver, order))
        for path in files("src", "backends")
        for driver in house_rules.drivers(path.read_text())
    }
    assert {"Driver", "MemoryDriver"} <= checked.keys(), "the drivers were not found: has the contract moved?"
    assert not [line for lines in checked.values() for line in lines]


def function_of(lines: int, docstring_lines: int = 0) -> str:
    docstring = ['    """First.', *["    more"] * (docstring_lines - 2), '    """'] if docstring_lines else []
    return "\n".join(["def long():", *docstring, *["    pass"] * (lines - 1)])


def test_a_function_of_forty_lines_and_a_docstring_is_allowed_and_no_more() -> None:
    assert not list(house_rules.long_functions(function_of(40, docstring_lines=5)))
    assert list(house_rules.long_functions(function_of(41))) == ["long: 41 lines, at most 40"]


@pytest.mark.parametrize(
    ("stem", "source", "wrong"),
    [
        ("string_utils", "", True),
        ("base", "", True),
        ("claims", "class ClaimManager: ...", True),
        ("claims", "class SQLBase: ...", True),
        ("database", "class Managed: ...", False),
        ("claims", "class Baseline: ...", False),
    ],
)
def test_a_name_that_says_nothing_is_noticed(stem: str, source: str, wrong: bool) -> None:
    assert bool(list(house_rules.empty_names(stem, source))) is wrong


def test_a_path_of_one_machine_is_noticed_and_a_relative_one_is_not() -> None:
    assert house_rules.OF_ONE_MACHINE.search("open('/" + "home/someone/x')")
    assert not house_rules.OF_ONE_MACHINE.search("docs/work/page.md and src/root/x")


def test_a_module_without_a_docstring_is_noticed() -> None:
    assert house_rules.lacks_docstring("import os")
    assert not house_rules.lacks_docstring('"""Said."""')


def test_a_driver_out_of_order_is_noticed() -> None:
    contract = "class Driver:\n    def claim(self): ...\n    def update(self): ...\n    def wake(self): ..."
    order = house_rules.contract_methods(contract)
    source = "class FileDriver(Driver):\n    def update(self): ...\n    def _own(self): ...\n    def claim(self): ..."
    assert house_rules.out_of_order(house_rules.drivers(source)[0], order) == ["update"]


def test_a_contract_without_a_driver_is_refused() -> None:
    with pytest.raises(ValueError, match="no class Driver"):
        house_rules.contract_methods("class Other: ...")


def test_a_driver_is_told_by_its_name_or_its_base() -> None:
    sources = ["class FileDriver: ...", "class File(longshore.contract.Driver): ...", "class File: ..."]
    assert [bool(house_rules.drivers(source)) for source in sources] == [True, True, False]
    assert isinstance(house_rules.drivers(sources[0])[0], ast.ClassDef)
