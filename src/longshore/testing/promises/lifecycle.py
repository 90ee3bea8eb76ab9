"""What the contract promises of connections, schemas, namespaces and the clock."""

from __future__ import annotations

import time
from typing import Any

import pytest

from longshore.contract import EVERY, SECOND, By, Driver, Features, Insertion, Limits, Write
from longshore.errors import ConfigurationError
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import BESIDE, Connect, StoreFixtures, one_place
from longshore.testing.samples import ids, new_job, put, run, stored, take, walk


class LifecyclePromises(StoreFixtures):
    """Connections."""

    def test_a_connection_says_what_it_promises(self, store: Driver) -> None:
        """A connected driver has features, and limits that allow at least a hundred elements of a mebibyte."""
        assert isinstance(store.features, Features)
        assert isinstance(store.limits, Limits)
        assert store.limits.payload >= 2**20
        assert store.limits.batch >= 100
        assert store.limits.claims >= 1
        assert store.limits.batch_bytes >= store.limits.payload or store.limits.batch_bytes >= 2**20
        assert store.limits.resolution >= 1

    def test_an_unknown_option_is_refused(
        self, driver_class: type[Driver], target: Any, options: dict[str, Any]
    ) -> None:
        """An option that the driver does not know raises `ConfigurationError`."""
        with pytest.raises(ConfigurationError):
            driver_class.connect(target, no_such_option="1", **options)

    def test_an_unknown_option_of_the_url_is_refused(
        self, driver_class: type[Driver], target: Any, options: dict[str, Any]
    ) -> None:
        """The query of a URL carries options; one that the driver does not know raises `ConfigurationError`."""
        if not isinstance(target, str):
            return
        url = f"{target}{'&' if '?' in target else '?'}no_such_option=1"
        with pytest.raises(ConfigurationError):
            driver_class.connect(url, **options)

    def test_two_connections_see_one_store(self, connect: Connect) -> None:
        """`target` leads another connection to the same store, whose jobs and records it sees at once."""
        one, two = connect(), connect()
        one.migrate()
        put(one, new_job("a"))
        one.write([Write("k", "a", b"1")])
        assert ids(walk(two)) == ["a"]
        assert ids(take(two)) == ["a"]
        assert stored(one, "a").holder is not None
        assert [record.value for record in two.read("k")] == [b"1"]

    def test_a_closed_connection_leaves_the_others(self, connect: Connect) -> None:
        """`close` may be called twice, and closes only its own connection."""
        one, two = connect(), connect()
        one.migrate()
        put(two, new_job("a"))
        two.close()
        two.close()
        assert ids(walk(one)) == ["a"]

    @one_place
    def test_namespaces_do_not_see_each_other(self, connect: Connect, options: dict[str, Any]) -> None:
        """Stores with different namespaces share nothing: not jobs, keys, records, or counts."""
        one, two = connect(), connect(namespace=options.get("namespace", "longshore") + BESIDE)
        one.migrate()
        two.migrate()
        for store in (one, two):
            (answer,) = store.insert([new_job("a", unique_key="u", key="k")])
            assert answer.outcome is Insertion.INSERTED, "a job is seen in another namespace"
            assert store.write([Write("k", "a", b"1", 0)]) != [None], "a record is seen in another namespace"
        assert ids(take(one)) == ["a"]
        assert two.count(By.HOLDER) == {}
        two.clear()
        assert ids(walk(one)) == ["a"]
        assert len(one.read("k")) == 1

    def test_a_second_migration_changes_nothing(self, store: Driver, connect: Connect) -> None:
        """`migrate` of a store that is up to date keeps all that it holds."""
        put(store, new_job("a"))
        store.write([Write("k", "a", b"1")])
        store.migrate()
        connect().migrate()
        assert ids(walk(store)) == ["a"]
        assert len(store.read("k")) == 1

    @one_place
    def test_clear_removes_everything(self, store: Driver) -> None:
        """`clear` removes every job, held ones too, with all that is theirs, and every record."""
        put(store, new_job("a", unique_key="u", key="k", group="g"))
        run(store, "b", expires_in=SECOND)
        store.write([Write("k", "a", b"1")])
        store.clear()
        assert walk(store) == []
        assert store.read("k") == []
        assert store.count(By.QUEUE_STATE) == store.count(By.HOLDER) == store.count(By.GROUP_STATE, EVERY) == {}
        put(store, new_job("a", unique_key="u", key="k"))
        assert stored(store, "a").turn == 0
        store.clear()
        store.clear()

    def test_the_clock_is_the_one_that_was_given(self, store: Driver, clock: ManualClock) -> None:
        """With ``clock`` given to `connect` it is the store's time."""
        assert store.now() == clock()
        clock.advance(1.5)
        put(store, new_job("a"))
        assert store.now() == clock() == stored(store, "a").created

    def test_the_store_has_a_clock_of_its_own(self, connect: Connect) -> None:
        """Without ``clock`` the store's time is that of the day, in microseconds since 1970, and goes on."""
        store = connect(clock=None)
        store.migrate()
        before = store.now()
        put(store, new_job("a"))
        after = store.now()
        assert before <= stored(store, "a").created <= after
        assert abs(time.time() - after / SECOND) < 600, "expected the store's clock to tell the time of the day"
