"""A lock between processes that is given in the order of asking.

SQLite's own way to wait for a writer is to sleep and try again, and who has just written wins most tries. So writers
line up at a lock of the operating system first. It only makes the waiting fair: what keeps writers apart is SQLite.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import weakref
from typing import Final

from longshore.errors import Unavailable

_MODE: Final = 0o666
PATIENCE: Final = 1.0
"""Seconds after which who is in the line stops waiting for it."""
_LITTLE_PATIENCE: Final = 0.05
"""The same while the line is known to stand: whoever has the lock was stopped, and may be for hours."""


class FileLock:
    """A lock on a file, for one thread at a time, until it is released or the process ends.

    A ``with`` block begins without it when another process has not given it back in a second. Where threads of this one
    are in the way for ``timeout`` seconds, `longshore.errors.Unavailable` is raised.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._thread = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        self._changed = threading.Condition()
        self._waiter: threading.Thread | None = None
        self._asked = False
        self._given = False
        self._closed = False
        self._stands = False
        # A process that a task forks shares the open file, and would keep the lock for us after our death.
        this = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _leave(this()))

    def __enter__(self) -> None:
        if not self._thread.acquire(timeout=self._timeout):
            message = f"expected the lock {self._path} within {self._timeout} s; another thread has held it so long"
            raise Unavailable(message, unknown=False)
        try:
            self._stands = not self._acquire(_LITTLE_PATIENCE if self._stands else min(PATIENCE, self._timeout))
            if self._closed:
                raise Unavailable(f"expected the lock {self._path}; it was closed", unknown=False)
        except BaseException:
            self._thread.release()
            raise

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self, timeout: float) -> bool:
        """Takes the lock, or answers False when it was not given in ``timeout`` seconds."""
        if not self._thread.acquire(timeout=timeout):
            return False
        given = False
        try:
            given = self._acquire(timeout)
        finally:
            if not given:
                self._thread.release()
        return given

    def release(self) -> None:
        """Gives the lock back."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        except (OSError, ValueError):
            pass  # It was closed, or the file system has no such locks.
        finally:
            self._thread.release()

    def leave(self) -> None:
        """Lets go of the file without a look at other threads: in a child after a fork there are none."""
        if not self._closed:
            self._closed = True
            os.close(self._file)
            self._file = -1

    def close(self) -> None:
        """Closes the file; whoever waits for it is told."""
        with self._changed:
            self.leave()
            self._changed.notify_all()

    def _acquire(self, timeout: float) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._wait(timeout)
        except (OSError, ValueError):
            # A file system without such locks: SQLite's own waiting must do.
            return not self._closed
        return True

    def _wait(self, timeout: float) -> bool:
        """The operating system knows no time-out for this lock: so another thread waits for it."""
        with self._changed:
            self._asked = True
            if self._waiter is None:
                self._waiter = threading.Thread(target=self._serve, name="longshore file lock", daemon=True)
                self._waiter.start()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._given or self._closed, timeout)
            given, self._given, self._asked = self._given, False, False
            return given

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: (self._asked and not self._given) or self._closed)
                if self._closed:
                    return
                file = self._file
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            with self._changed:
                if self._asked and not self._closed:
                    self._given = True
                    self._changed.notify_all()
                elif not self._closed:
                    fcntl.flock(file, fcntl.LOCK_UN)


def _leave(lock: FileLock | None) -> None:
    if lock is not None:
        lock.leave()
