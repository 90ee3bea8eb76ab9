"""How far a run has come, as people see it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from longshore.errors import InvalidValue

NOTE: Final = "longshore.progress"
"""The note of a job in which its progress is kept."""


_LONGEST_MESSAGE: Final = 1_000


class Progress(Struct, frozen=True, omit_defaults=True):
    """How far a run has come: so much of so much, and a word about it."""

    done: float = 0
    total: float | None = None
    message: str = ""

    @property
    def share(self) -> float | None:
        """What part is done, from 0 to 1; None where the total is not known."""
        return None if not self.total else min(1.0, max(0.0, self.done / self.total))


def progress_of(done: float, total: float | None, message: str) -> Progress:
    """What a run says, if it can be stored; a long message is cut.

    Raises:
        InvalidValue: a number is not finite.
    """
    given: tuple[tuple[str, object], ...] = (("done", done), ("total", 0 if total is None else total))
    for name, number in given:
        if not isinstance(number, int | float) or not math.isfinite(number):
            raise InvalidValue(f"{name} must be a finite number; it is {number!r}")
    text = str(message).replace("\0", "").encode(errors="replace").decode()
    return Progress(done, total, text[:_LONGEST_MESSAGE])


def note_of(progress: Progress) -> dict[str, Any]:
    """The notes by which it is kept with its job."""
    return {NOTE: msgspec.to_builtins(progress)}


def progress_in(notes: Mapping[str, Any]) -> Progress | None:
    """The progress that is kept in a job's notes, if there is any."""
    try:
        return msgspec.convert(notes[NOTE], Progress) if NOTE in notes else None
    except msgspec.ValidationError:
        return None  # Somebody else wrote a note of this name.


def without_progress(notes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The other notes."""
    return {key: value for key, value in notes.items() if key != NOTE} if NOTE in notes else notes
