"""The callers that race."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest

from longshore.contract import Driver
from longshore.testing.fixtures import Connect, StoreFixtures
from longshore.testing.together import together

T = TypeVar("T")
Crew = list[Driver]
CREW = 6


class CrewFixtures(StoreFixtures):
    """Callers that share one connection, or have one each."""

    @pytest.fixture(params=["one connection", "a connection each"])
    def crew(self, request: pytest.FixtureRequest, store: Driver, connect: Connect) -> Crew:
        """The connections of the callers, one for each."""
        if request.param == "one connection":
            return [store] * CREW
        return [store, *(connect() for _ in range(CREW - 1))]


def race(crew: Crew, act: Callable[[Driver, int], T]) -> list[T]:
    """Every one of the crew acts at once, with its connection and its number."""
    return together(*(partial(act, store, number) for number, store in enumerate(crew)))
