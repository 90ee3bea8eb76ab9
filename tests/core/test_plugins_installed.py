"""Hooks and tasks of other distributions: really installed, found by name, and loaded only when they are asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from stevedore import ExtensionManager

from longshore import Longshore, State
from longshore.errors import ConfigurationError, MissingPackage

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "freight"
version = "1.0"
[project.entry-points."longshore.hooks"]
audit = "freight:add_hooks"
half = "freight:add_half"
nothing = "freight:NAME"
lost = "freight:no_such_function"
needy = "freight_needy:add_hooks"
[project.entry-points."longshore.tasks"]
freight = "freight:register"
half = "freight:register_half"
clash = "freight:register_clash"
nothing = "freight:NAME"
[tool.hatch.build.targets.wheel]
include = ["*.py"]
"""
SOURCE = """
NAME = "freight"
log = []

def note(settled):
    log.append(f"{settled.task} succeeded")

def stamp(event):
    event.change(priority=7)

def add_hooks(hooks):
    hooks.on_success(note)
    hooks.of_task("weigh").pre_enqueue(stamp)

def add_half(hooks):
    hooks.on_success(note)
    raise OSError("no audit today")

def register(app):
    @app.task
    def weigh(kilograms: int) -> int:
        return kilograms

    @app.task(queue="slow")
    def ship(name: str) -> str:
        return f"{name} is at sea"

def register_half(app):
    register(app)
    raise OSError("no freight today")

def register_clash(app):
    @app.task
    def load() -> None: ...

    register(app)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a distribution with entry points was installed by pip."""
    project, site = tmp_path_factory.mktemp("freight"), tmp_path_factory.mktemp("site")
    (project / "pyproject.toml").write_text(PROJECT)
    (project / "freight.py").write_text(SOURCE)
    (project / "freight_needy.py").write_text("import a_library_for_audits")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    pip += ["--disable-pip-version-check", "--target", str(site), str(project)]
    subprocess.run(pip, check=True, capture_output=True)
    return site


@pytest.fixture(autouse=True)
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(site)
    # A process reads entry points once; here what is installed changes while it runs.
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})
    monkeypatch.setattr("stevedore._cache._c._disable_caching", True)  # Or each path is kept in the user's home.
    monkeypatch.delitem(sys.modules, "freight", raising=False)


def freight_log() -> list[str]:
    log: list[str] = sys.modules["freight"].log
    return log


def test_nothing_is_loaded_unless_it_is_asked_for(app: Longshore) -> None:
    app.counts()
    assert "freight" not in sys.modules
    assert app.tasks == {}


def test_hooks_are_loaded_by_name_and_unloaded(app: Longshore) -> None:
    app.hooks.load("audit")
    app.load_tasks("freight")
    job = app.enqueue(app.call_by_name("weigh", {"kilograms": 5}))
    assert job.info().priority == 7
    app.worker().run(until_empty=True)
    assert job.result(timeout=5) == 5
    assert freight_log() == ["weigh succeeded"]

    app.hooks.unload("audit")
    again = app.enqueue(app.call_by_name("weigh", {"kilograms": 5}))
    app.worker().run(until_empty=True)
    assert (again.info().priority, again.info().state) == (0, State.SUCCEEDED)
    assert freight_log() == ["weigh succeeded"]
    app.hooks.load("audit")


def test_hooks_are_loaded_once(app: Longshore) -> None:
    app.hooks.load("audit")
    with pytest.raises(ConfigurationError, match="'audit' are loaded already"):
        app.hooks.load("audit")
    app.hooks.unload("audit")
    with pytest.raises(ConfigurationError, match="no hooks are loaded as 'audit'; loaded: none"):
        app.hooks.unload("audit")


def test_unloading_passes_over_what_was_removed_before(app: Longshore) -> None:
    app.hooks.load("audit")
    app.hooks.on_success.remove(sys.modules["freight"].note)
    app.hooks.unload("audit")
    assert not app.hooks.on_success
    assert not app.hooks.pre_enqueue


def test_tasks_are_registered_by_name_with_all_that_they_declare(app: Longshore) -> None:
    app.load_tasks("freight")
    job = app.enqueue(app.call_by_name("ship", {"name": "Anna"}, options=None))
    assert job.info().queue == "slow"
    app.worker(queues=["slow"]).run(until_empty=True)
    assert job.result(timeout=5) == "Anna is at sea"


def test_a_taken_name_is_an_error_and_nothing_is_registered(app: Longshore) -> None:
    @app.task
    def ship() -> None: ...

    with pytest.raises(ConfigurationError, match=r"the tasks 'clash' cannot be registered: .*'ship' is registered al"):
        app.load_tasks("clash")
    assert app.tasks == {"ship": ship}
    with pytest.raises(ConfigurationError, match="'freight' cannot be registered"):
        app.load_tasks("freight")


def test_what_fails_half_way_leaves_nothing(app: Longshore) -> None:
    with pytest.raises(OSError, match="no freight today"):
        app.load_tasks("half")
    assert app.tasks == {}
    with pytest.raises(OSError, match="no audit today"):
        app.hooks.load("half")
    assert not app.hooks.on_success


def test_what_cannot_be_loaded_says_why(app: Longshore) -> None:
    with pytest.raises(ConfigurationError, match=r"'audits'.*longshore\.hooks; installed: audit, half, lost, needy"):
        app.hooks.load("audits")
    with pytest.raises(ConfigurationError, match=r"'audit'.*longshore\.tasks; installed: clash, freight, half"):
        app.load_tasks("audit")
    with pytest.raises(ConfigurationError, match=r"nothing in longshore\.hooks must be a function; it is 'freight'"):
        app.hooks.load("nothing")
    with pytest.raises(ConfigurationError, match=r"nothing in longshore\.tasks must be a function; it is 'freight'"):
        app.load_tasks("nothing")
    with pytest.raises(MissingPackage, match="a_library_for_audits"):
        app.hooks.load("needy")
    with pytest.raises(ConfigurationError, match=r"lost in longshore\.hooks must name one thing"):
        app.hooks.load("lost")
