"""The fixtures that every part of the suite stands on, and the one that a driver's author gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol

import pytest

from longshore.contract import Clock, Driver, Features
from longshore.errors import ConfigurationError
from longshore.registry import driver_for
from longshore.testing.clock import ManualClock

BESIDE = "_beside"
"""What is put behind the namespace of a test that needs two."""


one_place = pytest.mark.usefixtures("in_one_place")
"""Of a promise about several jobs, or several names of one: asked only of a store that keeps all in one place."""


class Connect(Protocol):
    """Opens one more connection to the test's store; with ``clock=None`` the store uses its own."""

    def __call__(self, *, clock: Clock | None = ..., **options: Any) -> Driver: ...


class StoreFixtures:
    """What a driver's author gives: `target`, and `driver` where no entry point names it."""

    driver: ClassVar[type[Driver] | None] = None
    patience: ClassVar[float] = 30.0
    """Seconds after which a wake-up that did not come counts as lost."""

    @pytest.fixture
    def target(self) -> Any:
        """A URL (or a live handle) of a store that is fresh and empty for each test."""
        raise ConfigurationError(
            f"expected {type(self).__name__} to have a fixture `target` that gives the URL of a fresh store; add it"
        )

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """What each `connect` is given besides."""
        return {}

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The store's clock."""
        return ManualClock()

    @pytest.fixture
    def driver_class(self, target: Any) -> type[Driver]:
        """The driver under test."""
        return self.driver or driver_for(target)

    @pytest.fixture
    def connect(
        self, driver_class: type[Driver], target: Any, options: dict[str, Any], clock: ManualClock
    ) -> Iterator[Connect]:
        """Opens connections to one store, and closes them at the end."""
        opened: list[Driver] = []
        hand_clock = clock

        def connect(*, clock: Clock | None = hand_clock, **more: Any) -> Driver:
            place = opened[0].target if opened else target
            opened.append(driver_class.connect(place, clock=clock, **(options | more)))
            return opened[-1]

        yield connect
        for connection in reversed(opened):
            connection.close()

    @pytest.fixture
    def store(self, connect: Connect) -> Driver:
        """An empty store, ready for use."""
        connection = connect()
        connection.migrate()
        return connection

    @pytest.fixture
    def in_one_place(self, store: Driver) -> None:
        """Asks for a store that keeps all jobs in one place, whatever their names."""
        needs(store, Features.ONE_PLACE)


def needs(store: Driver, feature: Features) -> None:
    """Skips the test where the store does not promise the feature."""
    if feature not in store.features:
        pytest.skip(f"{feature.name} is not promised")
