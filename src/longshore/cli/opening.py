"""Which store and which application a command is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from longshore.app import Longshore
from longshore.errors import ConfigurationError
from longshore.loading import load_app

AppOption = Annotated[
    str | None, typer.Option("--app", "-a", envvar="LONGSHORE_APP", help="The application, as module:attribute.")
]
UrlOption = Annotated[
    str | None, typer.Option("--url", "-u", envvar="LONGSHORE_URL", help="The store; else the application's own.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


@contextmanager
def opened(app: str | None, url: str | None, *, patience: float = 5.0) -> Iterator[Longshore]:
    """The application, or one without tasks on the store; closed at the end of the block.

    Raises:
        ConfigurationError: neither is given, or the application cannot be imported.
    """
    found = _found(app, url, patience)
    try:
        yield found
    finally:
        found.close()


def _found(app: str | None, url: str | None, patience: float) -> Longshore:
    if app:
        found = load_app(app)
        if url:
            found.use(url)
        return found
    if url:
        return Longshore(url, migrate=False, patience=patience)
    raise ConfigurationError("expected a store or an application: --url or LONGSHORE_URL, --app or LONGSHORE_APP")
