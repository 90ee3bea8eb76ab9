"""From the name of an application to the application."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from longshore.app import Longshore
from longshore.errors import ConfigurationError


def load_app(name: str) -> Longshore:
    """The application that ``module:attribute`` names; the working directory is searched too.

    Raises:
        ConfigurationError: there is no such module or attribute, it cannot be imported, or it is no `Longshore`.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute or "/" in name or module_name.endswith(".py"):
        raise ConfigurationError(f"expected an application as module:attribute, {_example(name)}; got {name!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    module = _imported(module_name, name)
    app = getattr(module, attribute, None)
    if not isinstance(app, Longshore):
        found = "nothing" if app is None else f"a {type(app).__qualname__}"
        raise ConfigurationError(f"{name!r} must name a Longshore application; there is {found}{_others(module)}")
    return app


def _imported(module_name: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigurationError(
                f"there is no module {error.name!r} for the application {name!r}, here in {Path.cwd()} or installed"
            ) from error
        raise _unimportable(name, error) from error
    except Exception as error:
        raise _unimportable(name, error) from error


def _unimportable(name: str, error: Exception) -> ConfigurationError:
    frames = traceback.extract_tb(error.__traceback__)
    # A syntax error names its place by itself, and the frames are those of the import.
    place = "" if isinstance(error, SyntaxError) else f" ({frames[-1].filename}, line {frames[-1].lineno})"
    return ConfigurationError(f"the application {name!r} cannot be imported: {type(error).__name__}: {error}{place}")


def _example(name: str) -> str:
    path, _, attribute = name.partition(":")
    if "/" in path or path.endswith(".py"):
        module = ".".join(Path(path).with_suffix("").parts[-1:])
        return f"such as {module}:{attribute or 'app'}, a module and not a file"
    package, _, last = path.rpartition(".")
    return f"such as {package}:{last}" if package else f"such as {path or 'tasks'}:{attribute or 'app'}"


def _others(module: ModuleType) -> str:
    names = [f"{module.__name__}:{name}" for name, value in vars(module).items() if isinstance(value, Longshore)]
    return f"; did you mean {' or '.join(names)}?" if names else ""
