"""The time budgets: read from the page that states them, charged to the right layer, held when asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from budgets import Budgets, Layer, layers_in, layers_of

pytest_plugins = ["pytester"]

REPOSITORY = Path(__file__).parent.parent
TWENTY_MINUTES = 20 * 60
OUTSIDE_THE_TESTS = 120  # making the environments, lint and types


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
    budgets = Budgets(layers, enforce=True)
    assert budgets.layer_of("tests/kit/test_races.py::test_one") == layers[1]
    assert budgets.layer_of("tests/test_ids.py::test_one") == layers[0]


def test_all_layers_together_leave_ci_under_twenty_minutes() -> None:
    layers = layers_in(REPOSITORY / "CONTRIBUTING.md")
    assert sum(layer.seconds for layer in layers) + OUTSIDE_THE_TESTS < TWENTY_MINUTES


@pytest.mark.parametrize(("enforce", "status"), [(True, 1), (False, 0)])
def test_layers_over_their_budgets_together_fail_the_session_only_when_enforced(
    pytester: pytest.Pytester, enforce: bool, status: int
) -> None:
    pytester.makepyfile(test_layer="def test_passes(): pass")
    plugin = Budgets([Layer("tiny", "test_layer.py", 0)], enforce=enforce)
    result = pytester.inline_run("-p", "no:cacheprovider", plugins=[plugin])
    assert result.ret == status
    assert [layer.name for layer in plugin.over()] == ["tiny"]


def test_a_layer_may_borrow_from_another(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_layer="def test_passes(): pass")
    plugin = Budgets([Layer("tiny", "test_layer.py", 0), Layer("roomy", "tests/", 60)], enforce=True)
    assert pytester.inline_run("-p", "no:cacheprovider", plugins=[plugin]).ret == 0
    assert [layer.name for layer in plugin.over()] == ["tiny"]


def test_a_layer_within_its_budget_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_layer="def test_passes(): pass")
    plugin = Budgets([Layer("roomy", "test_layer.py", 60)], enforce=True)
    assert pytester.inline_run("-p", "no:cacheprovider", plugins=[plugin]).ret == 0
    assert plugin.over() == []
