"""From a URL or a live handle to a driver; installed drivers are real distributions on the path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from stevedore import ExtensionManager

from longshore import Longshore, registry
from longshore.contract import Features
from longshore.errors import ConfigurationError, MissingPackage, Unavailable, UnknownDriver, Unsupported
from longshore.memory import MemoryDriver
from longshore.memory_store import MemoryStore
from longshore.testing.clock import ManualClock

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a distribution on the path that registers a driver: `install("paper", "module:Class", module="source")`."""
    monkeypatch.syspath_prepend(tmp_path)
    # A process reads entry points once; here what is installed changes while it runs.
    monkeypatch.setattr(ExtensionManager, "ENTRY_POINT_CACHE", {})
    monkeypatch.setattr("stevedore._cache._c._disable_caching", True)  # Or each path is kept in the user's home.

    def put(scheme: str, entry: str, **modules: str) -> None:
        folder = tmp_path / f"{scheme}_driver-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {scheme}-driver\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{scheme} = {entry}\n")
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)

    return put


def test_the_drivers_of_this_distribution_are_installed() -> None:
    assert {"memory", "sqlite"} <= set(registry.installed())


def test_a_url_finds_its_driver() -> None:
    assert registry.driver_for("memory://") is MemoryDriver
    assert registry.driver_for("MEMORY://?namespace=a") is MemoryDriver


def test_a_url_with_the_library_behind_a_plus_finds_the_driver_of_its_scheme() -> None:
    assert registry.driver_for("memory+anything://") is MemoryDriver


def test_a_driver_of_another_distribution_is_found(install: Install) -> None:
    source = "from longshore.memory import MemoryDriver\nclass PaperDriver(MemoryDriver): ..."
    install("paper", "paper_driver:PaperDriver", paper_driver=source)
    driver = registry.connect("paper://?namespace=desk")
    assert type(driver).__name__ == "PaperDriver"
    assert "paper" in registry.installed()


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("sqlit:///jobs.db", "did you mean sqlite://?"),
        ("memroy://", "did you mean memory://?"),
        ("postgres://host/db", "did you mean postgresql://?"),
        ("oracle9://host", "install a driver, or choose one of these"),
    ],
)
def test_a_scheme_that_nobody_serves_is_answered_with_what_was_meant(url: str, hint: str) -> None:
    with pytest.raises(UnknownDriver) as caught:
        registry.driver_for(url)
    assert hint in str(caught.value)
    assert "installed: " in str(caught.value)
    assert "memory" in str(caught.value)


@pytest.mark.parametrize("scheme", sorted(set(registry.EXTRAS) - set(registry.installed())))
def test_a_scheme_of_ours_that_is_not_installed_is_answered_with_what_to_install(scheme: str) -> None:
    extra = registry.EXTRAS[scheme]
    with pytest.raises(UnknownDriver, match=rf"pip install 'longshore\[{extra}\]'"):
        registry.driver_for(f"{scheme}://host/0")


@pytest.mark.parametrize("target", ["jobs.db", "", "/tmp/jobs.db", "1x://host", "://"])
def test_what_is_no_url_is_answered_with_an_example(target: str) -> None:
    with pytest.raises(UnknownDriver, match=r"expected a URL such as sqlite:///jobs\.db"):
        registry.driver_for(target)


def test_a_driver_whose_package_is_missing_says_what_to_install(install: Install) -> None:
    install("tape", "tape_driver:TapeDriver", tape_driver="import a_library_for_tapes")
    with pytest.raises(MissingPackage) as caught:
        registry.driver_for("tape://")
    assert str(caught.value) == (
        "the driver for tape:// cannot be loaded (No module named 'a_library_for_tapes'): "
        "install the package that it needs"
    )


def test_a_driver_of_ours_whose_package_is_missing_names_the_extra(install: Install) -> None:
    install("valkey", "valkey_driver:ValkeyDriver", valkey_driver="import a_library_for_valkey")
    with pytest.raises(MissingPackage, match=r"pip install 'longshore\[redis\]'"):
        registry.driver_for("valkey://host")


@pytest.mark.parametrize("entry", ["stone_driver:StoneDriver", "stone_driver:value", "stone_driver"])
def test_an_entry_point_that_names_no_driver_is_refused(install: Install, entry: str) -> None:
    install("stone", entry, stone_driver="value = 5\nclass StoneDriver: ...")
    with pytest.raises(
        ConfigurationError, match=r"the entry point stone in longshore\.drivers must name a Driver class"
    ):
        registry.driver_for("stone://")


def test_an_entry_point_that_names_nothing_is_refused(install: Install) -> None:
    install("void", "void_driver:VoidDriver", void_driver="")
    with pytest.raises(ConfigurationError, match="void"):
        registry.driver_for("void://")


def test_two_distributions_that_register_one_scheme_are_refused_by_name(install: Install) -> None:
    install("memory", "other_driver:Other", other_driver="from longshore.memory import MemoryDriver as Other")
    with pytest.raises(ConfigurationError, match="memory"):
        registry.driver_for("memory://")


class TestHandles:
    def test_a_live_handle_finds_its_driver_and_keeps_its_store(self) -> None:
        store = MemoryStore()
        assert registry.connect(store).target is store

    def test_a_handle_of_a_derived_class_does_too(self) -> None:
        class OwnStore(MemoryStore):
            pass

        assert registry.driver_for(OwnStore()) is MemoryDriver

    @pytest.mark.parametrize("handle", [None, 5, b"memory://", Path("jobs.db"), {1}], ids=repr)
    def test_what_no_driver_takes_is_refused_by_its_type(self, handle: object) -> None:
        with pytest.raises(UnknownDriver, match=f"got a {type(handle).__qualname__}"):
            registry.driver_for(handle)

    def test_a_driver_that_cannot_be_loaded_does_not_keep_others_from_their_handles(self, install: Install) -> None:
        install("aaa", "aaa_driver:Driver", aaa_driver="import a_library_that_is_not_there")
        assert registry.driver_for(MemoryStore()) is MemoryDriver


class TestConnect:
    def test_options_and_clock_reach_the_driver(self, clock: ManualClock) -> None:
        store = MemoryStore()
        one = registry.connect(store, namespace="one", clock=clock)
        assert one.now() == clock()

    def test_an_unknown_option_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="colour"):
            registry.connect("memory://?colour=red")
        with pytest.raises(ConfigurationError, match="colour"):
            registry.connect("memory://", colour="red")

    def test_what_is_promised_may_be_required(self) -> None:
        assert registry.connect("memory://", require=Features.WAKEUPS).features & Features.WAKEUPS

    def test_what_is_not_promised_is_refused_by_name_and_the_driver_closed(self, install: Install) -> None:
        source = (
            "from longshore.memory import MemoryDriver\n"
            "closed = []\n"
            "class DoorDriver(MemoryDriver):\n"
            "    def close(self): closed.append(self)\n"
        )
        install("door", "door_driver:DoorDriver", door_driver=source)
        with pytest.raises(Unsupported, match="door:// does not promise DURABLE, TRANSACTIONS, which this application"):
            registry.connect("door://", require=Features.DURABLE | Features.TRANSACTIONS | Features.WAKEUPS)
        import door_driver  # type: ignore[import-not-found]

        assert len(door_driver.closed) == 1


SECRETS = [
    "postgresql://user:s3cret@host/db",
    "postgresql://user:s3cret%40%2F@host/db",
    "postgresql://user:p%40s3cret@host:5432/db?x=1",
    "redis://:s3cret@host",
    "redis://:s3cret@[::1]:6379/0",
    "mongodb://user:s3cret@one,two,three/db",
    "postgresql://user:pa@s3cret@host/db",
    "postgresql://user:pa/s3cret@host/db",
    "postgresql://user:pa#s3cret@host/db",
    "postgresql://user:pa?s3cret@host/db",
    "postgresql://user:pa[s3cret@host/db",
    "postgresql://user:pa:s3cret@host/db",
    "9p://user:s3cret@host",
    "redis://host?password=s3cret",
    "postgresql://host/db?user=me&password=s3cret&x=1",
    "mongodb://host/?sslpassword=s3cret",
    "nosuch://user:s3cret@host/db",
    "memory://user:s3cret@host",
]


class TestPasswords:
    @pytest.mark.parametrize("url", SECRETS)
    def test_a_password_never_shows(self, url: str) -> None:
        assert "s3cret" not in registry.without_password(url)
        assert "s3cret" not in repr(Longshore(url))

    @pytest.mark.parametrize("url", SECRETS)
    def test_a_password_never_shows_in_an_error(self, url: str) -> None:
        with pytest.raises((ConfigurationError, Unsupported, Unavailable)) as caught:
            registry.connect(url, require=Features.DURABLE)
        error: BaseException | None = caught.value
        while error is not None:
            assert "s3cret" not in str(error)
            error = error.__cause__ or error.__context__

    @pytest.mark.parametrize(
        "url",
        ["sqlite:///jobs.db", "sqlite:///a:b@c.db", "redis://host:6379/0", "redis://user@host/0", "memory://?x=a:b@c"],
    )
    def test_what_holds_no_password_shows_as_it_is(self, url: str) -> None:
        assert registry.without_password(url) == url

    def test_the_rest_of_the_url_still_shows(self) -> None:
        assert registry.without_password("redis://me:s3cret@host:1/0?a=1") == "redis://me:***@host:1/0?a=1"
        assert registry.without_password("redis://h?password=s3cret&a=1") == "redis://h?password=***&a=1"

    def test_a_handle_shows_as_its_type(self) -> None:
        assert registry.without_password(MemoryStore()) == "a MemoryStore"
