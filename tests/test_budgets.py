"""The time budgets: read from the page that states them, charged to the right layer; and the limit of all."""

from __future__ import annotations

from pathlib import Path

import pytest

from budgets import Budgets, Layer, layers_in, layers_of
from run import BY_THE_CLOCK, ON_SERVERS, SIDE_BY_SIDE, parts, seconds_allowed, verdict

pytest_plugins = ["pytester"]

REPOSITORY = Path(__file__).parent.parent
TWENTY_MINUTES = 20 * 60


def test_every_row_of_the_table_is_a_layer() -> None:
    table = "| Layer | Tests | Seconds |\n|---|---|---|\n| kit | `tests/kit/` | 30 |\n| core | `tests/` | 5 |\n"
    assert layers_of(table) == [Layer("kit", "tests/kit/", 30), Layer("core", "tests/", 5)]


def test_a_page_without_a_table_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "PAGE.md"
    page.write_text("No table here.")
    with pytest.raises(ValueError, match=r"PAGE\.md holds no table of layers"):
        layers_in(page)


def test_the_longest_folder_wins() -> None:
    layers = [Layer("core", "tests/", 5), Layer("kit", "tests/kit/", 30)]
    budgets = Budgets(layers)
    assert budgets.layer_of("tests/kit/test_races.py::test_one") == layers[1]
    assert budgets.layer_of("tests/test_ids.py::test_one") == layers[0]


def test_all_tests_together_may_take_twenty_minutes_at_most() -> None:
    assert seconds_allowed(REPOSITORY / "CONTRIBUTING.md") <= TWENTY_MINUTES


def test_a_page_that_states_no_limit_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "PAGE.md"
    page.write_text("No limit here.")
    with pytest.raises(ValueError, match=r"PAGE\.md does not say"):
        seconds_allowed(page)


@pytest.mark.parametrize(
    ("codes", "code"), [([0, 0], 0), ([5, 0], 0), ([0, 5], 0), ([5, 5], 5), ([1, 0], 1), ([0, 1], 1), ([5, 2], 2)]
)
def test_a_failure_of_one_run_is_the_failure_of_all(codes: list[int], code: int) -> None:
    assert verdict(codes) == code


def test_who_names_stores_has_the_tests_on_those_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGSHORE_TEST_STORES", raising=False)
    assert [part for part, _ in parts()] == [SIDE_BY_SIDE, ON_SERVERS, BY_THE_CLOCK]
    monkeypatch.setenv("LONGSHORE_TEST_STORES", "sqlite")
    assert parts() == [(SIDE_BY_SIDE, {}), (BY_THE_CLOCK, {})]


@pytest.mark.parametrize(("seconds", "over"), [(0, ["tiny"]), (60, [])])
def test_a_layer_over_its_budget_is_told(pytester: pytest.Pytester, seconds: float, over: list[str]) -> None:
    pytester.makepyfile(test_layer="def test_passes(): pass")
    plugin = Budgets([Layer("tiny", "test_layer.py", seconds)])
    result = pytester.inline_run("-p", "no:cacheprovider", plugins=[plugin])
    assert result.ret == 0
    assert [layer.name for layer in plugin.over()] == over
