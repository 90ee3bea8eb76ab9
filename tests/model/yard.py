"""The application whose jobs are tied to each other, for worker processes that are killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from longshore import Context, Longshore, Retry

app = Longshore("memory://")
AGAIN = Retry(max_attempts=3, delay=0.0)


def tell(pipe: str, *words: object) -> None:
    """One line, whole also when several processes write."""
    with open(pipe, "a") as words_of_all:  # noqa: PTH123 - appended by one write
        words_of_all.write(" ".join(map(str, words)) + "\n")


@app.task(retry=AGAIN)
def load(pipe: str, word: str, fatal: str = "") -> str:
    """Says that it ran; with a file that is not there yet it makes it, and kills its process."""
    tell(pipe, word)
    if fatal and not Path(fatal).exists():
        Path(fatal).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return word


@app.task
def gather(context: Context, pipe: str) -> list[str]:
    """Says what its parents returned."""
    words = [str(parent.result) for parent in context.parents()]
    tell(pipe, "gathered", *words)
    return words
