"""One server for tests, wherever it comes from, with the switches a test needs: stop, kill, restart."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from engines.container import ContainerServer
from engines.origins import Missing, Origin, Source, origins
from engines.process import LocalServer
from engines.recipes import RECIPES

ENGINES = ("memory", "sqlite", *RECIPES)


class NoServer(Exception):
    """No server of an engine can be had here; the message says what was looked for."""


class Switches(Protocol):
    """What can be done to a server that we started."""

    @property
    def url(self) -> str:
        """Where it can be connected to, always the same."""
        ...

    def stop(self) -> None:
        """End it as an operator would."""
        ...

    def kill(self) -> None:
        """End it as a crash would."""
        ...

    def restart(self) -> None:
        """Run it again on the same data, at the same URL."""
        ...

    def close(self) -> None:
        """End it for good and remove its data."""
        ...


class Server:
    """A store that can be connected to at `url`; `origin` says where it came from."""

    def __init__(self, engine: str, url: str, origin: str, switches: Switches | None = None) -> None:
        self.engine = engine
        self.url = url
        self.origin = origin
        self._switches = switches

    @property
    def ours(self) -> bool:
        """Whether this server may be stopped, killed and restarted: it is a process that we started."""
        return self._switches is not None

    def stop(self) -> None:
        """End the server as an operator would; its data stays."""
        self._own().stop()

    def kill(self) -> None:
        """End the server at once, as a crash would; its data stays."""
        self._own().kill()

    def restart(self) -> None:
        """Run the server again on the same data, at the same URL, and wait until it takes work."""
        self._own().restart()

    def _own(self) -> Switches:
        if self._switches is None:
            raise NoServer(f"this {self.engine} ({self.origin}) is no process that was started here: leave it running")
        return self._switches


@contextmanager
def running(engine: str, *, source: Source | None = None) -> Iterator[Server]:
    """A server of `engine` for the time of a `with` block, from `source` or from the first place that has one.

    It has a directory and a free port of loopback of its own, and ends with the block, with an exception, and when this
    process dies. Raises `NoServer` where none can be had, `ServerFailed` where one does not come up.
    """
    if engine == "memory":
        yield Server(engine, "memory://", "inside the process")
    elif engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="longshore-sqlite-") as directory:
            path = Path(directory) / "longshore.db"
            yield Server(engine, f"sqlite:///{path}", "a file in a temporary directory")
    elif engine in RECIPES:
        yield from _serve(engine, _choose(engine, source))
    else:
        raise NoServer(f"there is no engine {engine!r}: choose one of {', '.join(ENGINES)}")


def _serve(engine: str, origin: Origin) -> Iterator[Server]:
    if origin.source == "environment":
        yield Server(engine, origin.place, str(origin))
        return
    recipe = RECIPES[engine]
    switches: Switches = ContainerServer(recipe) if origin.source == "docker" else LocalServer(recipe, origin)
    try:
        yield Server(engine, switches.url, str(origin), switches)
    finally:
        switches.close()


def _choose(engine: str, source: Source | None) -> Origin:
    tried = [place for place in origins(engine) if source in (None, place.source)]
    for place in tried:
        if isinstance(place, Origin):
            return place
    remedies = "; ".join(f"{place.source}: {place.remedy}" for place in tried if isinstance(place, Missing))
    raise NoServer(f"no {engine} server can be had here. Any one of these would help: {remedies}")
