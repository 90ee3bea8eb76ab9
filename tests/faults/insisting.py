"""Calls that are sent again until the store is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from faults.line import PATIENCE
from longshore.errors import Unavailable

T = TypeVar("T")


def insisted(call: Callable[[], T]) -> T:
    """What it answers as soon as the store is there."""
    pause, ends = threading.Event(), time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except Unavailable:
            if time.monotonic() > ends:
                raise
        pause.wait(0.1)
