"""Real servers for tests, with nothing to set up: `with running("postgres") as server: connect(server.url)`."""

from engines.origins import Missing, Origin, origins
from engines.server import ENGINES, NoServer, Server, running

__all__ = ["ENGINES", "Missing", "NoServer", "Origin", "Server", "origins", "running"]
