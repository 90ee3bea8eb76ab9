"""Which stores there are: tags, weights, and how they are said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from longshore.errors import ConfigurationError, InvalidValue
from longshore.memory_store import MemoryStore
from longshore.registry import connect as connect_any
from longshore.registry import without_password
from longshore_multi.members import members_of, target_of
from multi.conftest import Connect

SECRET = "hunter2"


def tag_of(url: Any, **options: Any) -> str:
    return members_of([url], None, options)[0].tag


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("postgresql://a/jobs", "postgresql+psycopg://user:pass@A:5432/jobs?connect_timeout=3"),
        ("redis://a:6379/0", "rediss://:secret@a/"),
        ("mysql://a/x", "mariadb://a:3306/x?pool_size=3"),
        ("mongodb://a/x", "mongodb://user@a:27017/x?w=1"),
    ],
)
def test_a_tag_is_of_the_store_not_of_who_asks_it_and_how(one: str, same: str) -> None:
    assert tag_of(one) == tag_of(same)
    assert tag_of(one) == tag_of(one, timeout=3, namespace="longshore")


@pytest.mark.parametrize(
    "other",
    [
        "postgresql://b/jobs",
        "postgresql://a/other",
        "postgresql://a:5433/jobs",
        "postgresql://a/jobs?namespace=x",
        "mysql://a/jobs",
    ],
)
def test_another_store_has_another_tag(other: str) -> None:
    assert tag_of("postgresql://a/jobs") != tag_of(other)
    assert tag_of("postgresql://a/jobs") != tag_of("postgresql://a/jobs", namespace="x")


def test_the_tag_of_a_file_is_that_of_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tag_of("sqlite:///jobs.db") == tag_of(f"sqlite:///{tmp_path}/jobs.db?timeout=3")


def test_a_fragment_is_the_tag_so_that_a_host_may_change_its_name() -> None:
    assert tag_of("postgresql://old/jobs#east") == tag_of("postgresql://new/jobs#east") == "east"


def test_two_with_one_tag_are_refused(connect: Connect, files: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="got east twice"):
        connect([files[0], files[0]])
    with pytest.raises(ConfigurationError, match="twice"):
        connect(["memory://", "memory://"])


def test_a_store_keeps_the_tag_it_had_first(connect: Connect, files: list[str]) -> None:
    connect(files)
    with pytest.raises(ConfigurationError, match=r"known as east before.*put #east behind its URL"):
        connect([files[0].replace("#east", "#north"), files[1]])


@pytest.mark.parametrize("tag", ["East", "a b", "x" * 17, f"{SECRET}!@host/0", ""])
def test_what_is_no_tag_is_refused_and_not_told(tag: str) -> None:
    with pytest.raises(ConfigurationError, match="1 to 16 of a to z") as raised:
        tag_of(f"redis://host/0#{tag}")
    assert SECRET not in str(raised.value)


def test_live_stores_need_a_tag(connect: Connect) -> None:
    with pytest.raises(ConfigurationError, match="give it a tag"):
        connect([MemoryStore(), MemoryStore()])
    stores = [{"target": MemoryStore(), "tag": tag} for tag in ("a", "b")]
    driver = connect(stores)
    driver.write([])
    assert [part.tag for part in connect(driver.target).parts] == ["a", "b"]


def test_a_url_says_them_all(connect: Connect, files: list[str]) -> None:
    driver = connect(files, weights=[2, 1])
    again = connect_any(driver.target)
    assert driver.target.startswith("multi:2*sqlite:///")
    assert [(part.tag, part.weight) for part in again.parts] == [("east", 2.0), ("west", 1.0)]
    again.close()


@pytest.mark.parametrize("weights", [[2, 1], "2,1", {"east": 2}])
def test_weights_are_said_in_order_or_by_tag(files: list[str], weights: Any) -> None:
    assert [member.weight for member in members_of(files, weights, {})] == [2.0, 1.0]


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, -1], ["x", 1], {"north": 1}])
def test_wrong_weights_are_refused(files: list[str], weights: Any) -> None:
    with pytest.raises(ConfigurationError, match="weight"):
        members_of(files, weights, {})


def test_none_is_not_several() -> None:
    for nothing in ([], "multi:"):
        with pytest.raises(ConfigurationError, match="at least one store"):
            members_of(nothing, None, {})


def test_retry_seconds_are_seconds(connect: Connect, files: list[str]) -> None:
    for wrong in ("soon", -1):
        with pytest.raises(ConfigurationError, match="retry_seconds"):
            connect(files, retry_seconds=wrong)


def test_an_unknown_option_is_refused(connect: Connect, files: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="colour"):
        connect(files, colour="red")


def test_passwords_never_show() -> None:
    urls = ["sqlite:///jobs.db", f"postgresql://u:{SECRET}@b/x", f"redis://:{SECRET}@c/0#west"]
    members = members_of(urls, None, {})
    url = target_of(members, urls)
    shown = [without_password(url), without_password(urls), *(member.shown for member in members)]
    assert SECRET in url
    assert not [text for text in shown if SECRET in text]


def test_a_wrong_cursor_is_refused(connect: Connect, files: list[str]) -> None:
    from longshore.contract import EVERY

    with pytest.raises(InvalidValue, match="cursor"):
        connect(files).select(EVERY, after="nonsense")
