"""A line to a server, on which a test loses a question or an answer."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from enum import Enum, auto
from urllib.parse import urlsplit, urlunsplit

import pytest

from longshore.contract import Driver

Connect = Callable[..., Driver]
PATIENCE = 30.0
"""Seconds after which a test gives up waiting."""


class Lost(Enum):
    """What is lost when the line breaks."""

    QUESTION = auto()  # The server never gets it.
    ANSWER = auto()  # The server has done what it was asked to.


class Hold:
    """A question that waits until the test lets it go on."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._released = threading.Event()

    def is_reached(self, until: Callable[[], bool]) -> bool:
        """Waits until it is asked, or until something else has happened."""
        while not self._reached.wait(0.005):
            if until():
                return False
        return True

    def release(self) -> None:
        """Lets it go on."""
        self._released.set()

    def stay(self) -> None:
        """Called by the line: waits."""
        self._reached.set()
        assert self._released.wait(PATIENCE), "the test never let a question go on"


class Line:
    """Carries connections of loopback to a server, and breaks one of them at a trip that the test names.

    A trip is what a client sends until it is answered. Trips are counted over all connections; every protocol whose
    client waits for answers has them. What has one of ``greetings`` in it is none: threads of the client's own send it
    whenever they like.
    """

    def __init__(self, url: str, *, greetings: tuple[bytes, ...] = ()) -> None:
        self._greetings = greetings
        self._parts = urlsplit(url)
        self._door = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._trips = 0
        self._loses: tuple[int, Lost | Hold] | None = None
        self._threads = [threading.Thread(target=self._keep)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """The server's URL, over this line."""
        _, at, _ = self._parts.netloc.rpartition("@")
        user = self._parts.netloc[: self._parts.netloc.rindex(at) + 1] if at else ""
        return urlunsplit(self._parts._replace(netloc=f"{user}127.0.0.1:{self._door.getsockname()[1]}"))

    @property
    def trips(self) -> int:
        """How many there were."""
        return self._trips

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to be lost."""
        return self._loses is None

    def lose(self, trip: int, what: Lost | Hold) -> None:
        """Of the trips from now on, breaks the connection at the one with this number, counted from 1."""
        with self._lock:
            self._loses = (self._trips + trip, what)

    def hold(self, trip: int) -> Hold:
        """Of the trips from now on, keeps back what is asked at the one with this number."""
        hold = Hold()
        self.lose(trip, hold)
        return hold

    def keep(self) -> None:
        """Loses nothing from now on."""
        with self._lock:
            self._loses = None

    def close(self) -> None:
        """Ends all connections."""
        self._door.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._door.close()

    def _keep(self) -> None:
        ends: list[socket.socket] = []
        with contextlib.suppress(OSError):
            while True:
                near = self._door.accept()[0]
                far = socket.create_connection((str(self._parts.hostname), self._parts.port or 0))
                ends += [near, far]
                self._threads.append(threading.Thread(target=self._carry, args=(near, far)))
                self._threads[-1].start()
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, contextlib.suppress(OSError):
            is_asking = False
            lost: Lost | Hold | None = None
            while True:
                ready, _, _ = select.select([near, far], [], [])
                said = (far if far in ready else near).recv(2**20)
                if not said:
                    return
                if far in ready:
                    if lost is Lost.ANSWER:
                        return
                    is_asking = False
                    near.sendall(said)
                    continue
                is_greeting = any(greeting in said for greeting in self._greetings)
                lost = lost if is_asking or is_greeting else self._lost_now()
                if lost is Lost.QUESTION:
                    return
                if isinstance(lost, Hold):
                    lost.stay()
                is_asking = True
                far.sendall(said)

    def _lost_now(self) -> Lost | Hold | None:
        """A trip begins: what of it is lost."""
        with self._lock:
            self._trips += 1
            if self._loses is None or self._loses[0] != self._trips:
                return None
            lost, self._loses = self._loses[1], None
            return lost


class Lines:
    """Fixtures beside an engine's own: ``url`` of an empty store, and ``connect`` that opens it."""

    @pytest.fixture
    def line(self, url: str) -> Iterator[Line]:
        """A line to the server of the store."""
        line = Line(url)
        yield line
        line.close()

    @pytest.fixture
    def near(self, connect: Connect) -> Driver:
        """A connection that does not break."""
        near = connect()
        near.migrate()
        return near

    @pytest.fixture
    def far(self, connect: Connect, line: Line, near: Driver) -> Driver:
        """A connection over the line."""
        far = connect(line.url)
        far.wake = lambda topics: None  # type: ignore[method-assign]  # Else another thread of it has trips, too.
        return far
