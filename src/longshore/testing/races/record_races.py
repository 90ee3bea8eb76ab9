"""Records that many threads write."""

from __future__ import annotations

from longshore.contract import Driver, Write
from longshore.testing.races.crew import CREW, Crew, CrewFixtures, race
from longshore.testing.samples import names

KIND = "counter"


def increment(store: Driver, key: str) -> int:
    """Adds one to a record by compare-and-set, as often as it takes; answers the version that landed."""
    while True:
        records = store.read(KIND, [key])
        value, version = (int(records[0].value), records[0].version) if records else (0, 0)
        (landed,) = store.write([Write(KIND, key, str(value + 1).encode(), version)])
        if landed is not None:
            return landed


class RecordRaces(CrewFixtures):
    """Records."""

    def test_a_counter_counts_everybody(self, crew: Crew, store: Driver) -> None:
        """Of many callers that write on one version one lands, so that no increment is lost; no version comes twice."""
        times = 12
        versions = race(crew, lambda connection, number: [increment(connection, "n") for _ in range(times)])
        assert int(store.read(KIND)[0].value) == CREW * times, "an increment was lost"
        every = [version for versions_of_one in versions for version in versions_of_one]
        assert len(set(every)) == len(every), "a version was given twice"
        assert all(mine == sorted(mine) for mine in versions)

    def test_one_creates_a_record(self, crew: Crew) -> None:
        """Of many callers that write where there must be none, one lands."""
        keys = names(20)

        def create(connection: Driver, number: int) -> list[bool]:
            return [connection.write([Write(KIND, key, b"%d" % number, 0)]) != [None] for key in keys]

        landed = race(crew, create)
        assert [sum(column) for column in zip(*landed, strict=True)] == [1] * len(keys), "a record was created twice"

    def test_bulk_writes_in_opposite_orders_do_not_lock_each_other_out(self, crew: Crew, store: Driver) -> None:
        """Writes of the same records in opposite orders all go through."""
        keys = names(40)

        def write_all(connection: Driver, number: int) -> bool:
            order = keys if number % 2 else keys[::-1]
            writes = [Write(KIND, key, b"%d" % number) for key in order]
            return all(None not in connection.write(writes) for _ in range(8))

        assert all(race(crew, write_all))
        assert [record.key for record in store.read(KIND)] == keys

    def test_erasing_and_creating_take_turns(self, crew: Crew) -> None:
        """Callers that create and erase one record as a lock are never two inside."""
        inside: list[int] = []

        def enter_and_leave(connection: Driver, number: int) -> int:
            entered = 0
            for _ in range(40):
                (version,) = connection.write([Write(KIND, "lock", b"%d" % number, 0)])
                if version is None:
                    continue
                inside.append(number)
                assert inside == [number], "two hold one record"
                entered += 1
                inside.remove(number)
                assert connection.write([Write(KIND, "lock", None, version)]) != [None]
            return entered

        assert sum(race(crew, enter_and_leave)) >= 1
