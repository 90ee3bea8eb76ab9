"""What `insert` promises of new jobs."""

from __future__ import annotations

from longshore import reference
from longshore.contract import (
    SECOND,
    Driver,
    IfParentFails,
    Inserted,
    Insertion,
    NewJob,
    State,
    UniqueScope,
    Where,
)
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import StoreFixtures, one_place
from longshore.testing.samples import (
    QUEUE,
    TASK,
    end,
    ids,
    names,
    new_job,
    put,
    run,
    state_of,
    stored,
    take,
    walk,
)

EVERYTHING = NewJob(
    id="full",
    queue="reports",
    task="render",
    payload=bytes(range(256)),
    codec="pickle",
    digest=bytes(range(224, 256)),
    priority=-32_768,
    delay=3 * SECOND,
    expires_in=60 * SECOND,
    max_attempts=None,
    max_crashes=7,
    unique_key="report of May",
    unique_scope=UniqueScope.PERIOD,
    unique_for=90 * SECOND,
    group="May",
    parents=("second", "first"),
    lax=True,
    if_parent_fails=IfParentFails.WAIT,
    notes={"who": "Anna", "pages": [1, 2, {"three": None}], "empty": {}, "none": [], "share": 0.5, "done": False},
    awaited=True,
)


class InsertPromises(StoreFixtures):
    """New jobs."""

    @one_place
    def test_a_new_job_is_stored_as_it_was_given(self, store: Driver, clock: ManualClock) -> None:
        """Every field of a new job is stored as it was given."""
        assert store.insert([EVERYTHING]) == [Inserted(Insertion.INSERTED, State.PENDING)]
        assert stored(store, "full") == reference.born(EVERYTHING, clock(), 0)

    def test_what_is_not_given_has_its_default(self, store: Driver, clock: ManualClock) -> None:
        """A job of which only the id, queue, task and payload are given is due at once, and has no deadline."""
        put(store, NewJob(id="plain", queue=QUEUE, task=TASK, payload=b""))
        job = stored(store, "plain")
        assert job == reference.born(NewJob("plain", QUEUE, TASK, b""), clock(), 0)
        assert (job.due, job.expires, job.generation, job.attempt) == (clock(), None, 0, 0)

    @one_place
    def test_jobs_of_one_call_are_created_one_after_another(self, store: Driver, clock: ManualClock) -> None:
        """`created` rises by one microsecond from element to element, and due times do not."""
        put(store, *(new_job(name) for name in "cab"))
        assert [stored(store, name).created - clock() for name in "cab"] == [0, 1, 2]
        assert {stored(store, name).due for name in "cab"} == {clock()}

    def test_instants_win_over_durations(self, store: Driver, clock: ManualClock) -> None:
        """`due` is used instead of `delay`, and `expires` instead of `expires_in`, to the microsecond."""
        due, expires = clock() + 123_457, clock() + 5 * SECOND + 1
        put(store, new_job("a", due=due, delay=SECOND, expires=expires, expires_in=SECOND))
        job = stored(store, "a")
        assert (job.due, job.expires) == (due, expires)

    def test_payloads_are_bytes_that_nobody_looks_into(self, store: Driver) -> None:
        """Payloads come back byte for byte: empty, binary, not UTF-8, or a mebibyte long."""
        payloads = [b"", b"\x00", b"\xff\xfe\x00'\"\\%s", b"\r\n", bytes(range(256)) * 4096]
        put(store, *(new_job(str(number), payload=payload) for number, payload in enumerate(payloads)))
        assert [stored(store, str(number)).payload for number in range(len(payloads))] == payloads

    def test_notes_are_json(self, store: Driver) -> None:
        """Notes keep what JSON can say: nested lists and objects, empty ones, numbers, texts, true and false."""
        notes = {
            "empty list": [],
            "empty object": {},
            "nested": {"list": [1, [2, {"three": None}]], "text": "\u2028 ü \U0001f600 \\ \" '"},
            "large": 2**53,
            "negative": -(2**53),
            "fraction": 0.1,
            "truth": True,
            "untruth": False,
            "": "an empty name",
            "with.dot": 1,
            "$with dollar": 1,
        }
        put(store, new_job("a", notes=notes))
        kept = stored(store, "a").notes
        assert dict(kept) == notes
        assert kept["truth"] is True, "expected true to stay a boolean"

    def test_a_note_of_none_is_left_out(self, store: Driver) -> None:
        """A top-level note that is None is not stored; what is within another is."""
        put(store, new_job("a", notes={"none": None, "deep": {"none": None}}))
        assert dict(stored(store, "a").notes) == {"deep": {"none": None}}

    @one_place
    def test_priorities_are_16_bit_integers(self, store: Driver) -> None:
        """Priorities from -32768 to 32767 are stored, and claimed highest first."""
        priorities = [0, 32_767, -32_768, 1, -1]
        put(store, *(new_job(f"{priority}", priority=priority) for priority in priorities))
        assert [job.priority for job in take(store)] == sorted(priorities, reverse=True)

    def test_a_job_can_begin_waiting(self, store: Driver) -> None:
        """A job given as waiting is stored WAITING, and no claim takes it."""
        assert store.insert([new_job("a", waiting=True)]) == [Inserted(Insertion.INSERTED, State.WAITING)]
        assert ids(take(store)) == [], "a waiting job was claimed"

    def test_a_second_insert_of_an_id_is_answered_repeated(self, store: Driver) -> None:
        """An id that is stored already is answered REPEATED with the stored job's state, task and digest, and nothing
        changes."""
        put(store, new_job("a", digest=b"one"))
        before = stored(store, "a")
        answers = store.insert([new_job("a", task="other", digest=b"two", payload=b"2", queue="other")])
        assert answers == [Inserted(Insertion.REPEATED, State.PENDING, task=TASK, digest=b"one")]
        assert stored(store, "a") == before, "a repeated insert changed the stored job"

    def test_an_id_is_known_as_long_as_its_job_is_stored(self, store: Driver) -> None:
        """An insert of a held or an ended job's id is answered REPEATED with that state."""
        run(store, "held")
        put(store, new_job("ended"))
        end(store, "ended")
        answers = store.insert([new_job("held"), new_job("ended")])
        assert [answer.outcome for answer in answers] == [Insertion.REPEATED] * 2
        assert [answer.state for answer in answers] == [State.RUNNING, State.CANCELLED]

    def test_of_two_with_one_id_in_a_call_the_earlier_wins(self, store: Driver) -> None:
        """Within one call the earlier of two jobs with one id is stored, the later is answered REPEATED."""
        first, second = store.insert([new_job("a", digest=b"1"), new_job("a", digest=b"2")])
        assert (first.outcome, second.outcome) == (Insertion.INSERTED, Insertion.REPEATED)
        assert second.digest == b"1"
        assert stored(store, "a").digest == b"1"

    @one_place
    def test_a_refused_job_spoils_no_other_of_its_batch(self, store: Driver) -> None:
        """Each job of an insert stands alone: the others of the batch are stored and answered in their order."""
        put(store, new_job("old"), new_job("owner", unique_key="k"))
        batch = [new_job("1"), new_job("old"), new_job("2"), new_job("late", unique_key="k"), new_job("3")]
        answers = [answer.outcome for answer in store.insert(batch)]
        new, old, held = Insertion.INSERTED, Insertion.REPEATED, Insertion.HELD
        assert answers == [new, old, new, held, new], "a refused job spoilt its batch"
        assert set(ids(walk(store))) == {"old", "owner", "1", "2", "3"}

    def test_an_insert_of_nothing_answers_nothing(self, store: Driver) -> None:
        """An empty call is answered by an empty list."""
        assert store.insert([]) == []

    @one_place
    def test_a_whole_batch_is_stored(self, store: Driver) -> None:
        """As many jobs as the driver's limits allow are stored by one call, each once."""
        size = min(store.limits.batch, 5_000)
        answers = store.insert([new_job(name) for name in names(size)])
        assert [answer.outcome for answer in answers] == [Insertion.INSERTED] * size
        assert ids(walk(store, limit=1_000)) == names(size)

    def test_children_and_parents_need_not_come_in_order(self, store: Driver) -> None:
        """A job may name parents that are not stored."""
        put(store, new_job("child", parents=("nobody", "parent"), waiting=True), new_job("parent"))
        assert stored(store, "child").parents == ("nobody", "parent")
        assert ids(store.select(Where(parents=["parent"])).jobs) == ["child"]
        assert state_of(store, "child") is State.WAITING
