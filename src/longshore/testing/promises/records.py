"""What `read` and `write` promise of records."""

from __future__ import annotations

from itertools import pairwise

from longshore.contract import SECOND, Driver, Record, Where, Write
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import StoreFixtures
from longshore.testing.samples import names, new_job, put, walk

KIND = "lock"


def write(store: Driver, value: bytes | None, version: int | None = None, **more: int) -> int | None:
    """One write of one record."""
    (answer,) = store.write([Write(KIND, "key", value, version, **more)])
    return answer


def write_any(store: Driver, value: bytes | None, **more: int) -> int:
    """A write that whatever is there gives way to."""
    version = write(store, value, **more)
    assert version is not None, "a write without a version was refused"
    return version


class RecordPromises(StoreFixtures):
    """Records."""

    def test_a_record_is_read_as_it_was_written(self, store: Driver, clock: ManualClock) -> None:
        """A record has its kind, key, value, version and expiry."""
        value = bytes(range(256))
        version = write_any(store, value, lifetime=SECOND)
        assert store.read(KIND, ["key"]) == [Record(KIND, "key", value, version, clock() + SECOND)]

    def test_an_empty_value_is_a_value(self, store: Driver) -> None:
        """An empty value is stored; only None erases."""
        version = write_any(store, b"")
        assert store.read(KIND, ["key"]) == [Record(KIND, "key", b"", version)]

    def test_a_large_value_is_stored(self, store: Driver) -> None:
        """A value may be a mebibyte long."""
        write_any(store, b"\x00\xff" * 2**19)
        assert store.read(KIND)[0].value == b"\x00\xff" * 2**19

    def test_a_write_without_a_version_always_lands(self, store: Driver) -> None:
        """With version None a write replaces whatever is there, and a new lifetime, or none, the old one."""
        write_any(store, b"1", lifetime=SECOND)
        version = write_any(store, b"2")
        assert store.read(KIND) == [Record(KIND, "key", b"2", version, None)]

    def test_a_write_lands_only_on_its_version(self, store: Driver) -> None:
        """With a version a write lands only where the stored version is that one, else it answers None and changes
        nothing."""
        first = write_any(store, b"1")
        second = write(store, b"2", first)
        assert second is not None
        assert write(store, b"3", first) is None, "a write landed on another version than its own"
        assert write(store, None, first) is None
        assert store.read(KIND) == [Record(KIND, "key", b"2", second)]

    def test_version_0_means_there_must_be_none(self, store: Driver) -> None:
        """With version 0 a write lands only where there is no record."""
        assert write(store, b"1", 0) is not None
        assert write(store, b"2", 0) is None, "a write that wanted no record there landed on one"
        assert store.read(KIND)[0].value == b"1"

    def test_none_erases(self, store: Driver) -> None:
        """The value None erases the record, on its version or whatever is there, and answers a version."""
        version = write_any(store, b"1")
        assert write(store, None, version) is not None
        assert store.read(KIND) == store.read(KIND, ["key"]) == []
        assert write(store, None) is not None, "an erasure without a version was refused"
        assert write(store, b"2", version) is None
        assert write(store, b"2", 0) is not None

    def test_versions_only_rise(self, store: Driver, clock: ManualClock) -> None:
        """For one key each version is larger than any before, also after an erasure and an expiry."""
        versions = [write_any(store, b"1"), write_any(store, b"2")]
        versions += [write_any(store, None), write_any(store, b"3")]
        versions += [write_any(store, b"4", lifetime=SECOND)]
        clock.advance(2)
        versions += [write_any(store, b"5"), write_any(store, None), write_any(store, None), write_any(store, b"6")]
        assert all(early < late for early, late in pairwise(versions)), "a version came twice"
        assert versions[0] > 0

    def test_an_erasure_of_what_is_not_there_counts_as_well(self, store: Driver) -> None:
        """So does an erasure that found no record, also in the same microsecond."""
        versions = [write_any(store, None), write_any(store, None), write_any(store, b"1")]
        assert all(early < late for early, late in pairwise(versions)), "a version came twice"

    def test_a_record_is_gone_when_its_time_is_over(self, store: Driver, clock: ManualClock) -> None:
        """A record is read until its lifetime is over, and from that microsecond on it is not there."""
        version = write_any(store, b"1", lifetime=2 * SECOND)
        clock.advance(1.999_999)
        assert len(store.read(KIND)) == len(store.read(KIND, ["key"])) == 1
        clock.advance(0.000_001)
        assert store.read(KIND) == store.read(KIND, ["key"]) == [], "a record outlived its lifetime"
        assert write(store, b"2", version) is None, "a write landed on a record whose lifetime is over"
        assert write(store, b"2", 0) is not None, "a record whose lifetime is over kept a new one out"

    def test_writes_stand_alone(self, store: Driver) -> None:
        """Each write of a call is answered by itself, in order; a refused one spoils no other."""
        old = write_any(store, b"old")
        gone = store.write([Write(KIND, "gone", b"gone")])[0]
        writes = [
            Write(KIND, "z", b"z", 0),
            Write(KIND, "key", b"no", old + 1_000_000),
            Write(KIND, "a", b"a", 0),
            Write("other", "key", b"other", 0),
            Write(KIND, "gone", None, gone),
            Write("other", "gone", b"no", gone),
        ]
        answers = store.write(writes)
        landed = [answer is not None for answer in answers]
        assert landed == [True, False, True, True, True, False], "a refused write spoilt its batch"
        assert {record.key: record.value for record in store.read(KIND)} == {"a": b"a", "key": b"old", "z": b"z"}
        assert [record.version for record in store.read(KIND)] == [answers[2], old, answers[0]]
        assert [record.value for record in store.read("other")] == [b"other"]

    def test_records_are_read_by_key(self, store: Driver) -> None:
        """The live records of the keys asked for come in the order of their keys, each once."""
        store.write([Write(KIND, name, name.encode()) for name in ("c", "a", "b")])
        store.write([Write("other", "a", b"other")])
        found = store.read(KIND, ["c", "nobody", "a", "c"])
        assert [(record.key, record.value) for record in found] == [("a", b"a"), ("c", b"c")]
        assert store.read(KIND, []) == []
        assert store.read("none") == store.read("none", ["a"]) == []

    def test_records_are_read_by_prefix_and_page(self, store: Driver) -> None:
        """Records whose key begins with a prefix come in the order of their keys, at most ``limit`` after ``after``."""
        keys = [f"{prefix}/{name}" for prefix in ("worker", "workers", "queue") for name in names(7)]
        store.write([Write(KIND, key, b"") for key in reversed(keys)])
        assert [record.key for record in store.read(KIND)] == sorted(keys)
        found: list[str] = []
        while page := store.read(KIND, prefix="worker/", limit=3, after=found[-1] if found else None):
            assert len(page) <= 3, "a page holds more records than its limit"
            found += [record.key for record in page]
        assert found == keys[:7]
        assert [record.key for record in store.read(KIND, prefix="worker/", limit=2, after="queue/9")] == keys[:2]

    def test_expired_records_do_not_use_up_the_limit(self, store: Driver, clock: ManualClock) -> None:
        """A page is filled with live records."""
        store.write([Write(KIND, name, b"", lifetime=SECOND) for name in "abc"])
        store.write([Write(KIND, name, b"") for name in "de"])
        clock.advance(1)
        assert [record.key for record in store.read(KIND, limit=2)] == ["d", "e"]

    def test_records_and_jobs_do_not_disturb_each_other(self, store: Driver) -> None:
        """A record may have the name of a job, and a kind that of a queue."""
        put(store, new_job("key", queue=KIND))
        write_any(store, b"1")
        store.delete(Where(ids=["key"]))
        assert store.read(KIND)[0].value == b"1"
        assert walk(store) == []

    def test_no_writes_no_answers(self, store: Driver) -> None:
        """An empty call is answered by an empty list."""
        assert store.write([]) == []
