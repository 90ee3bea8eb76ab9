"""Wake-ups between processes of one machine.

Who listens has a datagram socket in a folder beside the database, named by the topics it listens to; who wakes sends
one byte to each that may be meant. So nobody polls, an idle process costs nothing, and what a killed process left
behind is found and removed by the first who sends to it. Where there are no such sockets, one on the loopback
interface takes their place, and a file in the folder names its port.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from longshore.contract import Listener, Sleeper

_BITS: Final = 64
_LONGEST_ADDRESS: Final = 100  # The least that a system takes for a socket's path, and some.
_OPEN_FILES: Final = Path("/proc/self/fd")
_PORT: Final = "port"


def topic_bits(topics: Iterable[str]) -> int:
    """The topics as bits: those that share one are woken together."""
    bits = 0
    for topic in topics:
        bits |= 1 << zlib.crc32(topic.encode()) % _BITS
    return bits


class Wakes:
    """The folder in which listeners are found."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._sender: socket.socket | None = None

    def wake(self, topics: Iterable[str]) -> None:
        """Wakes who listens to any of the topics; whoever cannot be reached is gone."""
        try:
            names = [entry.name for entry in os.scandir(self._folder)] if os.access(self._folder, os.F_OK) else []
        except OSError:
            return
        if not names:
            return
        bits = topic_bits(topics)
        for name in names:
            with contextlib.suppress(ValueError):
                if int(name.partition("-")[0], 16) & bits:
                    self._send(name)

    def listen(self, topics: Iterable[str]) -> Listener:
        """Listens from now on."""
        name = f"{topic_bits(topics):016x}-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            Path(self._folder).mkdir(exist_ok=True)
            return self._bound(name)
        except OSError:
            return Sleeper()

    def close(self) -> None:
        """Closes what sends; listeners are closed one by one."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def _bound(self, name: str) -> Listener:
        address = self._address(name)
        if address is not None:
            ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                ear.bind(address)
            except OSError:
                ear.close()
            else:
                return SocketListener(ear, Path(self._folder, name))
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear.bind(("127.0.0.1", 0))
        sign = Path(self._folder, f"{name}-{_PORT}{ear.getsockname()[1]}")
        sign.touch()
        return SocketListener(ear, sign)

    def _address(self, name: str) -> str | None:
        """The socket's path, made short where it is too long; None where there can be none."""
        if not hasattr(socket, "AF_UNIX"):
            return None
        path = str(Path(self._folder, name))
        return path if len(os.fsencode(path)) <= _LONGEST_ADDRESS else None

    def _send(self, name: str) -> None:
        try:
            port = name.rpartition(_PORT)
            if port[1]:
                self._send_to_port(int(port[2]))
            else:
                self._send_to_path(name)
        except BlockingIOError:
            return  # It has not yet read those before.
        except OSError:
            with contextlib.suppress(OSError):
                (Path(self._folder, name)).unlink()

    def _send_to_path(self, name: str) -> None:
        if self._sender is None:
            self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._sender.setblocking(False)
        self._sender.sendto(b"\0", f"{self._folder}/{name}")

    def _send_to_port(self, port: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.connect(("127.0.0.1", port))
            sender.send(b"\0")
            sender.send(b"\0")  # Fails when the first came back, for then nobody is there.


class SocketListener:
    """Waits in the kernel for a byte on a socket."""

    def __init__(self, ear: socket.socket, sign: Path) -> None:
        self._ear = ear
        self._sign = sign
        self._hurry, self._hurry_sender = socket.socketpair()
        self._waiting = threading.Lock()
        self._closed = False
        for end in (self._ear, self._hurry, self._hurry_sender):
            end.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._ear, select.POLLIN)
        self._poll.register(self._hurry, select.POLLIN)

    def wait(self, timeout: float) -> bool:
        """True as soon as a byte came since the last True."""
        with self._waiting:
            if self._closed:
                return False
            self._poll.poll(math.ceil(max(0.0, timeout) * 1_000))
            _drained(self._hurry)
            return _drained(self._ear)

    def interrupt(self) -> None:
        """Makes a `wait` in another thread, or the next one, return at once."""
        with contextlib.suppress(OSError):
            self._hurry_sender.send(b"\0")

    def close(self) -> None:
        """Stops listening; whoever waits returns."""
        self._closed = True
        self.interrupt()
        with self._waiting, contextlib.suppress(OSError):
            self._sign.unlink(missing_ok=True)
            for end in (self._ear, self._hurry, self._hurry_sender):
                end.close()


def _drained(ear: socket.socket) -> bool:
    """Reads all that came; whether anything did."""
    came = False
    try:
        while ear.recv(64):
            came = True
    except BlockingIOError:
        pass
    return came
