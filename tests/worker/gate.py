"""Where a running task stops until its test lets it go on."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue

from longshore import Call, Longshore

PATIENCE = 15.0
"""Seconds after which a test gives up waiting for what should take milliseconds."""


class Gate:
    """Tasks arrive, say a word and stop here, so that a test knows what runs without looking at clocks."""

    def __init__(self) -> None:
        self._words: SimpleQueue[object] = SimpleQueue()
        self._open = threading.Event()

    def serve(self, app: Longshore) -> None:
        """Registers two tasks: ``stop`` arrives and stops here, ``say`` says its word and ends."""

        @app.task
        def stop(word: str) -> str:
            self.stop_here(word)
            return word

        @app.task
        def say(word: str) -> str:
            self.say(word)
            return word

    def stop_here(self, word: object = None) -> None:
        """Called by a task: waits until the gate is opened. Can be interrupted."""
        self._words.put(word)
        # In short pieces: an exception reaches a thread between two of them, not within one.
        while not self._open.wait(0.01):
            pass

    def say(self, word: object) -> None:
        """Called by a task that does not stop."""
        self._words.put(word)

    def arrived(self, within: float = PATIENCE) -> object:
        """Waits for the next that arrives, and gives its word."""
        try:
            return self._words.get(timeout=within)
        except Empty:
            raise AssertionError(f"expected a task to arrive within {within:g} s; none did") from None

    def said(self) -> list[object]:
        """The words that were said and not taken yet."""
        return [self._words.get() for _ in range(self._words.qsize())]

    def nobody_arrives(self, within: float) -> bool:
        """Whether nobody arrives within so many seconds."""
        try:
            self._words.get(timeout=within)
        except Empty:
            return True
        return False

    def open(self) -> None:
        """Lets all go on, those that come later too."""
        self._open.set()


def wait_for(event: threading.Event, what: str) -> None:
    """Waits for an event that should come, and says what did not."""
    assert event.wait(PATIENCE), f"expected {what} within {PATIENCE:g} s"


def stop(app: Longshore, word: str) -> Call[str]:
    """A call of the task that stops at the gate."""
    return app.call_by_name("stop", {"word": word})


def say(app: Longshore, word: str) -> Call[str]:
    """A call of the task that says its word."""
    return app.call_by_name("say", {"word": word})
