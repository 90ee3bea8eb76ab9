"""Asking several stores: all of them, or those that answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from longshore.errors import Unavailable
from longshore_multi.part import Part

T = TypeVar("T")


class Asked:
    """What parts did not answer, to be raised when all were asked."""

    def __init__(self) -> None:
        self._failures: list[Unavailable] = []
        self._answers = 0

    def ask(self, call: Callable[[], T]) -> T | None:
        """The answer; None where there was none."""
        try:
            answer = call()
        except Unavailable as error:
            self._failures.append(error)
            return None
        self._answers += 1
        return answer

    def must_be_whole(self) -> None:
        """Raises what went wrong, if anything did.

        Raises:
            Unavailable: a part did not answer; all others have done what was asked.
        """
        if self._failures:
            raise self._failure()

    def must_be_some(self) -> None:
        """The same if no part answered.

        Raises:
            Unavailable: none did.
        """
        if self._failures and not self._answers:
            raise self._failure()

    def _failure(self) -> Unavailable:
        unknown = self._answers > 0 or any(error.unknown for error in self._failures)
        return Unavailable("; ".join(map(str, self._failures)), unknown=unknown)


def of_all(parts: Iterable[Part], call: Callable[[Part], T]) -> list[T]:
    """The answers of all.

    Raises:
        Unavailable: one did not answer.
    """
    asked = Asked()
    answers = [(asked.ask(lambda part=part: (call(part),))) for part in parts]  # type: ignore[misc]
    asked.must_be_whole()
    return [answer[0] for answer in answers if answer is not None]


def of_some(parts: Iterable[Part], call: Callable[[Part], T]) -> list[T]:
    """The answers of those that answer.

    Raises:
        Unavailable: none did.
    """
    asked = Asked()
    answers = [(asked.ask(lambda part=part: (call(part),))) for part in parts]  # type: ignore[misc]
    asked.must_be_some()
    return [answer[0] for answer in answers if answer is not None]


def choosable(parts: Mapping[str, Part]) -> list[Part]:
    """Those that may be chosen: that do not rest, or all if every one does."""
    return [part for part in parts.values() if not part.rests] or list(parts.values())


def shuffled(parts: Iterable[Part]) -> list[Part]:
    """The same, in random order."""
    some: list[Any] = list(parts)
    random.shuffle(some)
    return some
