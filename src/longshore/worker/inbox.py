"""The thread that obeys messages from afar (docs/design/remote-control.md)."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from longshore.codecs import is_native
from longshore.errors import StoreError
from longshore.guard import Guard
from longshore.holders import Lease
from longshore.remote.messages import Answered, Message, answer, read_inbox
from longshore.worker.bell import Bell
from longshore.worker.controls import Controls

_log = logging.getLogger("longshore.worker")


class Inbox(threading.Thread):
    """Obeys the messages to this worker in the order in which they were sent, each once, and answers.

    Args:
        commands: the application's own.
        look_every: seconds after which it looks without being told.
    """

    def __init__(
        self,
        store: Guard,
        lease: Lease,
        controls: Controls,
        commands: Mapping[str, Callable[..., Any]],
        *,
        look_every: float,
    ) -> None:
        super().__init__(name="longshore-inbox", daemon=True)
        self._store = store
        self._lease = lease
        self._controls = controls
        self._commands = commands
        self._look_every = look_every
        self._bell = Bell()
        self._ended = False
        self._obeyed: dict[str, Answered] = {}

    def hint(self) -> None:
        """There may be a message."""
        self._bell.ring()

    def stop(self) -> None:
        """Ends the thread after the command that it obeys."""
        self._ended = True
        self._bell.ring()

    def run(self) -> None:
        """Looks when it is told to, and once in a while."""
        while not self._ended:
            self._bell.silence()
            try:
                self._look()
            except StoreError as error:
                _log.warning("no messages for now: %s", error)
            if not self._ended:
                self._bell.wait(self._look_every)

    def _look(self) -> None:
        for key, message in read_inbox(self._store, self._lease.worker):
            if self._ended:
                return
            if key not in self._obeyed:
                self._obeyed[key] = self._obey(message)
                self._lease.renew(self._store)  # Who is answered finds what the worker does now.
            answer(self._store, key, message, self._lease.worker, self._obeyed[key])
        self._obeyed.clear()

    def _obey(self, message: Message) -> Answered:
        command = self._controls.commands.get(message.command) or self._commands.get(message.command)
        if command is None:
            return Answered(error=f"this worker has no command {message.command!r}; it has {self._known()}")
        try:
            value = command(*message.positional, **message.named)
            value = _awaited(value) if inspect.iscoroutine(value) else value
        except Exception as error:  # noqa: BLE001 - an application's own command may raise anything
            _log.exception("the command %s failed", message.command)
            return Answered(error=f"{type(error).__name__}: {error}")
        if not is_native(value):
            return Answered(error=f"the command gave a {type(value).__name__}, which has no form in JSON")
        return Answered(value)

    def _known(self) -> str:
        return ", ".join(sorted([*self._controls.commands, *self._commands]))


def _awaited(coroutine: Any) -> Any:
    import asyncio

    return asyncio.run(coroutine)
