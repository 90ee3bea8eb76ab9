"""A server in a container, for machines where a Docker engine answers."""

from __future__ import annotations

import time
from typing import Any

from engines.process import await_greeting, free_port
from engines.recipes import Recipe


class ContainerServer:
    """A server run by testcontainers, which also removes it when this process dies."""

    def __init__(self, recipe: Recipe) -> None:
        from testcontainers.core.container import DockerContainer

        self._recipe = recipe
        self._port: int = free_port()
        self._container = DockerContainer(recipe.image.name).with_envs(**recipe.image.environment)
        if recipe.image.command:
            self._container.with_command(recipe.image.command)
        # Docker picks a new port at each restart unless one is named; loopback alone, as everywhere in the tests.
        ports: dict[str, Any] = self._container.ports
        ports[f"{recipe.image.port}/tcp"] = ("127.0.0.1", self._port)
        try:
            self._container.start()
            self._await_greeting()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """The URL to connect to, the same after a restart."""
        return self._recipe.url(self._port)

    def stop(self) -> None:
        """End the server as an operator would; its data stays."""
        self._container.get_wrapped_container().stop(timeout=15)

    def kill(self) -> None:
        """End the server at once, as a crash would; its data stays."""
        self._container.get_wrapped_container().kill()

    def restart(self) -> None:
        """Run the server again on the same data and the same port; kill it first where it still runs."""
        self._container.get_wrapped_container().restart(timeout=0)
        self._await_greeting()

    def close(self) -> None:
        """End the server and remove everything it wrote."""
        self._container.stop()

    def _await_greeting(self) -> None:
        await_greeting(lambda: self._recipe.greet(self._port), self._ended_within, self._last_words)

    def _ended_within(self, seconds: float) -> bool:
        import docker
        import requests

        container = self._container.get_wrapped_container()
        before = time.monotonic()
        try:
            container.wait(timeout=seconds)
        except (requests.exceptions.RequestException, docker.errors.APIError):
            return time.monotonic() - before < seconds / 2 and container.status == "exited"
        return True

    def _last_words(self) -> str:
        output, errors = self._container.get_logs()
        return f"{self._recipe.image.name} did not come up:\n{(output + errors).decode(errors='replace')[-2000:]}"
