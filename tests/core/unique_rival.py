"""A process that enqueues the same calls as others at the same moment: ``unique_rival.py URL``."""

from __future__ import annotations

import sys

from longshore import Longshore, Unique
from longshore.errors import IdConflict, UniqueConflict

ROUNDS = 20


def main(url: str) -> None:
    """Says ready, waits for a line, and says what became of each call: a line a round, a word for each way."""
    with Longshore(url) as app:

        @app.task
        def send(way: str, number: int) -> None: ...

        app.store.now()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        for number in range(ROUNDS):
            configured = (
                send.options(unique=Unique()),
                send.options(unique=Unique(if_held="raise")),
                send.options(id=f"id{number}"),
            )
            words = []
            for way, each in zip(("skip", "raise", "id"), configured, strict=True):
                try:
                    words.append(each.enqueue(way, number).id)
                except (IdConflict, UniqueConflict) as conflict:
                    words.append(type(conflict).__name__)
            sys.stdout.write(" ".join(words) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
