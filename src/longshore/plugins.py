"""What other distributions bring, by entry point: found by its name, and loaded only when it is asked for."""

from __future__ import annotations

from importlib.metadata import entry_points

from longshore.errors import ConfigurationError, MissingPackage


def is_installed(group: str, name: str) -> bool:
    """Whether a distribution brings something of this name."""
    return name in entry_points(group=group).names


def load(group: str, name: str) -> object:
    """What the entry point of a name in a group stands for; no other is imported.

    Raises:
        ConfigurationError: none is installed, there are two, or it names what does not exist.
        MissingPackage: it is there, a package that it needs is not.
    """
    if not is_installed(group, name):
        known = ", ".join(sorted(entry_points(group=group).names)) or "none"
        raise ConfigurationError(
            f"nothing is installed as {name!r}: install the package that has it as an entry point in {group}; "
            f"installed: {known}"
        )
    from stevedore import DriverManager
    from stevedore.exception import MultipleMatches, NoMatches

    try:
        loaded: object = DriverManager[object](group, name).driver
    except ImportError as error:
        raise MissingPackage(f"{name} of {group} cannot be loaded ({error}): install what it needs") from error
    except (AttributeError, NoMatches, MultipleMatches) as error:
        raise ConfigurationError(
            f"the entry point {name} in {group} must name one thing that exists: {error}"
        ) from error
    return loaded
