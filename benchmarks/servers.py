"""The server that a program under measurement runs on: a new one for each run, on the disk that is measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name

# By name: a program whose memory is measured is not to carry the clients of other stores.
SERVERS = {store: f"benchmarks.{store}_server:serving_{store}" for store in ("mariadb", "mongo", "postgres", "redis")}


def url_in(directory: Path) -> str:
    """The URL of the server that runs for this directory."""
    return (directory / "url").read_text()


@contextmanager
def serving(store: str, directory: Path) -> Iterator[None]:
    """Runs the server that programs of this store need, if any, with its files in a directory."""
    if store not in SERVERS:
        yield
        return
    with resolve_name(SERVERS[store])(directory) as url:
        (directory / "url").write_text(url)
        yield
