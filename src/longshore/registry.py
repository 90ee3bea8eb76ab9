"""From a URL or a live handle to a connected driver, found by entry point."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any, Final

from stevedore import DriverManager
from stevedore.exception import MultipleMatches, NoMatches

from longshore.contract import Clock, Driver, Features
from longshore.errors import ConfigurationError, MissingPackage, UnknownDriver, Unsupported

GROUP: Final = "longshore.drivers"
NOTHING: Final = Features(0)
EXTRAS: Final = {
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
    "redis": "redis",
    "rediss": "redis",
    "valkey": "redis",
    "valkeys": "redis",
    "unix": "redis",
    "mongodb": "mongo",
    "mongodb+srv": "mongo",
}
"""Which extra of this distribution brings what the schemes' drivers need."""


# Not with urllib, which refuses some passwords and overlooks others: what nobody can read must not show either.
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_PASSWORD: Final = re.compile(r"(?s)^([^/]*//[^/?#@:]*):.*@")
_PASSWORD_OPTION: Final = re.compile(r"([?&;][^=&;]*(?:pass|pwd|secret|token)[^=&;]*=)[^&;]*", re.IGNORECASE)


def installed() -> list[str]:
    """The schemes that installed drivers serve; no driver is imported."""
    return sorted(entry_points(group=GROUP).names)


def driver_for(target: object) -> type[Driver]:
    """The driver class that serves a URL or a live handle.

    Raises:
        UnknownDriver: none does.
        MissingPackage: one does, but a package that it needs is not installed.
    """
    return _by_url(target) if isinstance(target, str) else _by_handle(target)


def connect(target: Any, *, clock: Clock | None = None, require: Features = NOTHING, **options: Any) -> Driver:
    """Opens the store that ``target`` names.

    Args:
        target: a URL, or a live handle of a driver's library.
        clock: a test clock in place of the store's.
        require: features without which the application does not want to run.
        options: the driver's own.

    Raises:
        UnknownDriver, MissingPackage: no driver serves the target.
        ConfigurationError: an option is unknown or wrong.
        Unsupported: a required feature is not promised by this connection.
        Unavailable: the store does not answer.
    """
    driver = driver_for(target).connect(target, clock=clock, **options)
    if missing := require & ~driver.features:
        driver.close()
        names = ", ".join(feature.name or "" for feature in missing)
        raise Unsupported(f"{without_password(target)} does not promise {names}, which this application requires")
    return driver


def _by_url(url: str) -> type[Driver]:
    match = _SCHEME.match(url.strip())
    if match is None:
        raise UnknownDriver(f"expected a URL such as sqlite:///jobs.db, got {without_password(url)!r}")
    scheme = match[1].lower()
    drivers = installed()
    for name in (scheme, scheme.partition("+")[0]):
        if name in drivers:
            return load(name)
    raise UnknownDriver(_nobody_serves(scheme, drivers))


def load(name: str) -> type[Driver]:
    """The driver class that is registered under a name.

    Raises:
        MissingPackage: it is there, a package that it needs is not.
        ConfigurationError: the entry point names something else, or there are two.
    """
    try:
        loaded: object = DriverManager[Any](GROUP, name).driver
    except ImportError as error:
        extra = EXTRAS.get(name)
        cure = f"pip install 'longshore[{extra}]'" if extra else "install the package that it needs"
        raise MissingPackage(f"the driver for {name}:// cannot be loaded ({error}): {cure}") from error
    except (AttributeError, NoMatches, MultipleMatches) as error:
        raise ConfigurationError(f"the entry point {name} in {GROUP} must name one Driver class: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Driver)):
        raise ConfigurationError(f"the entry point {name} in {GROUP} must name a Driver class; it names {loaded!r}")
    return loaded


def _nobody_serves(scheme: str, drivers: Iterable[str]) -> str:
    known = sorted({*drivers, *EXTRAS})
    near = difflib.get_close_matches(scheme, known, n=1, cutoff=0.5)
    extra = EXTRAS.get(scheme.partition("+")[0])
    if extra:
        hint = f"install it: pip install 'longshore[{extra}]'"
    elif near:
        hint = f"did you mean {near[0]}://?"
    else:
        hint = "install a driver, or choose one of these"
    return f"no installed driver serves {scheme}:// ({hint}); installed: {', '.join(sorted(drivers)) or 'none'}"


def _by_handle(handle: object) -> type[Driver]:
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(handle).__mro__}
    for name in installed():
        try:
            driver = load(name)
        except MissingPackage:
            continue
        if names & set(driver.handles) and driver.serves(handle):
            return driver
    raise UnknownDriver(
        f"expected a URL or a live handle that an installed driver takes, got a {type(handle).__qualname__}"
    )


def without_password(target: object) -> str:
    """A target as it may be shown."""
    if isinstance(target, list | tuple):
        return " ".join(map(without_password, target))
    if isinstance(target, Mapping) and "target" in target:
        return without_password(target["target"])
    if not isinstance(target, str):
        return f"a {type(target).__qualname__}"
    if target.startswith("multi:"):
        return "multi:" + without_password(target.removeprefix("multi:").split())
    return _PASSWORD_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", target))
