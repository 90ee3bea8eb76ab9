"""From the name of an application to the application."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from longshore.app import Longshore
from longshore.errors import ConfigurationError


def load_app(name: str) -> Longshore:
    """The application that ``module:attribute`` names; the working directory is searched too.

    Raises:
        ConfigurationError: there is no such module or attribute, or it is no `Longshore`.
    """
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        raise ConfigurationError(f"expected an application as module:attribute, for example tasks:app; got {name!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ConfigurationError(f"there is no module {error.name!r} for the application {name!r}") from error
    app = getattr(module, attribute, None)
    if not isinstance(app, Longshore):
        found = "nothing" if app is None else f"a {type(app).__qualname__}"
        raise ConfigurationError(f"{name!r} must name a Longshore application; there is {found}")
    return app
