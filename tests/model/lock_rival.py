"""A process that goes in and out of a lock: ``lock_rival.py URL NAME HOLDERS ROUNDS``, or ``… 0`` to stay inside.

It says ready, waits for a line, and says when it went in and out, in nanoseconds of the machine's clock.
"""

from __future__ import annotations

import sys
import threading
import time

from longshore import Longshore


def main(url: str, name: str, holders: int, rounds: int) -> None:
    with Longshore(url) as app:
        app.store.now()
        say("ready")
        sys.stdin.readline()
        if not rounds:
            app.lock(name, holders=holders, lifetime=1.0).acquire()
            say("inside")
            threading.Event().wait()
        for _ in range(rounds):
            with app.lock(name, holders=holders, lifetime=30, wait=30):
                began = time.monotonic_ns()
                threading.Event().wait(0.02)
                ended = time.monotonic_ns()
            say(began, ended)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
