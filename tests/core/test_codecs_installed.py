"""Codecs of other distributions, found by name and loaded only then."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from stevedore import ExtensionManager

from longshore.codecs import Choice
from longshore.codecs.installed import GROUP
from longshore.errors import ConfigurationError, MissingPackage, UnknownCodec

Install = Callable[[str, str, str], None]
SOURCE = """
import ast
from longshore.codecs import PlainCodec
def dump(value): return repr(value).encode()
def load(data): return ast.literal_eval(data.decode())
literal = PlainCodec("literal", dump=dump, load=load)
class Some: name = "some"
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a distribution on the path that registers a codec: its name, its entry point, the source of `freight`."""
    monkeypatch.syspath_prepend(tmp_path)
    # A process reads entry points once; here what is installed changes while it runs.
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})
    monkeypatch.setattr("stevedore._cache._c._disable_caching", True)  # Or each path is kept in the user's home.
    monkeypatch.delitem(sys.modules, "freight", raising=False)

    def put(name: str, entry: str, source: str) -> None:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {entry}\n")
        (tmp_path / "freight.py").write_text(source)

    return put


def test_a_codec_is_found_by_its_name_alone_and_then_read_within_another(install: Install) -> None:
    install("literal", "freight:literal", SOURCE)
    for choice in (Choice("literal"), Choice("json", ["literal"]), Choice().instead("literal")):
        assert choice.named("literal").encode({1}) == b"[1]"
        assert choice.named("literal+zlib").decode(b"\0(1, 2)") == (1, 2)


@pytest.mark.parametrize("name", ["literal", "literal+zlib", "pickle"])
def test_what_is_stored_does_not_choose_what_is_loaded(install: Install, name: str) -> None:
    install(name.removesuffix("+zlib"), "freight:literal", "raise RuntimeError('loaded')")
    with pytest.raises(UnknownCodec, match="list it in old_codecs"):
        Choice().named(name)


def test_others_are_not_loaded_for_it(install: Install) -> None:
    install("other", "freight:literal", "raise RuntimeError('loaded')")
    with pytest.raises(UnknownCodec, match=r"'literal'.*entry point in longshore\.codecs"):
        Choice("literal")


@pytest.mark.parametrize("entry", ["freight:Some", "freight:SOURCE", "freight", "freight:nothing", "freight:literal"])
def test_an_entry_point_that_names_no_codec_of_its_name_is_refused(install: Install, entry: str) -> None:
    install("some", entry, SOURCE)
    with pytest.raises(ConfigurationError, match="some"):
        Choice("some")


def test_a_codec_whose_package_is_missing_says_so(install: Install) -> None:
    install("literal", "freight:literal", "import a_library_for_literals")
    with pytest.raises(MissingPackage, match=r"a_library_for_literals.*install what it needs"):
        Choice("literal")


def test_what_needs_no_entry_point_cannot_be_replaced_by_one(install: Install) -> None:
    install("json", "freight:literal", "raise RuntimeError('loaded')")
    assert Choice("json").chosen.encode([1]) == b"[1]"
