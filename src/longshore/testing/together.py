"""Threads that begin at once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds after which something hangs."""


def together(*acts: Callable[[], T]) -> list[T]:
    """Begins all acts at once, each in a thread of its own, and answers what they answered; raises what one raised."""
    barrier = threading.Barrier(len(acts), timeout=PATIENCE)

    def after_the_start(act: Callable[[], T]) -> T:
        barrier.wait()
        return act()

    with _switching_often(), ThreadPoolExecutor(len(acts)) as pool:
        futures: list[Future[T]] = [pool.submit(after_the_start, act) for act in acts]
        return [future.result(PATIENCE) for future in futures]


@contextmanager
def _switching_often() -> Iterator[None]:
    """Lets the interpreter change threads a hundred times as often, so that races are run, not only begun."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 100)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
