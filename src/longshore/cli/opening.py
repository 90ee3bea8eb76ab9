"""Which store and which application a command is about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from longshore.app import Longshore
from longshore.errors import ConfigurationError
from longshore.loading import load_app

AppOption = Annotated[
    str | None, typer.Option("--app", "-a", envvar="LONGSHORE_APP", help="The application, as module:attribute.")
]
_URL = "The store, else the application's own; given more than once, several at once."
UrlOption = Annotated[list[str] | None, typer.Option("--url", "-u", envvar="LONGSHORE_URL", help=_URL)]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


@contextmanager
def opened(app: str | None, url: Sequence[str] | None, *, patience: float = 5.0) -> Iterator[Longshore]:
    """The application, or one without tasks on the store; closed at the end of the block.

    Raises:
        ConfigurationError: neither is given, or the application cannot be imported.
    """
    found = _found(app, target_of(url), patience)
    try:
        yield found
    finally:
        found.close()


def target_of(urls: Sequence[str] | None) -> str | list[str] | None:
    """The store that is meant: one, several at once, or none."""
    if not urls:
        return None
    # A variable of the environment is divided at its blanks, and so is what names several in one text.
    return urls[0] if len(urls) == 1 else " ".join(urls) if urls[0].startswith("multi:") else list(urls)


def _found(app: str | None, target: str | list[str] | None, patience: float) -> Longshore:
    if app:
        found = load_app(app)
        if target:
            found.use(target)
        return found
    if target:
        return Longshore(target, migrate=False, patience=patience)
    raise ConfigurationError("expected a store or an application: --url or LONGSHORE_URL, --app or LONGSHORE_APP")
