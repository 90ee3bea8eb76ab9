"""What the contract promises of ids, queues, tasks, keys and the other texts."""

from __future__ import annotations

from longshore.contract import By, Change, Claim, Driver, Insertion, NewJob, Outcome, State, Where, Write
from longshore.testing.fixtures import StoreFixtures, one_place
from longshore.testing.samples import ANNA, PECULIAR, QUEUE, TASK, bytewise, ids, new_job, put, take, walk


class TextPromises(StoreFixtures):
    """Texts are 1 to 200 bytes of UTF-8 without NUL, compared and ordered by their bytes."""

    def test_ids_are_told_apart_by_their_bytes(self, store: Driver) -> None:
        """Ids that differ in a byte are different ids, each found by itself alone."""
        put(store, *(new_job(text) for text in PECULIAR))
        for text in PECULIAR:
            assert ids(store.select(Where(ids=[text])).jobs) == [text]

    @one_place
    def test_jobs_of_one_due_time_are_ordered_by_the_bytes_of_their_ids(self, store: Driver) -> None:
        """Claims and pages order ids by their bytes."""
        for text in reversed(PECULIAR):
            put(store, new_job(text))
        assert ids(walk(store)) == bytewise(PECULIAR)
        assert ids(take(store, limit=len(PECULIAR))) == bytewise(PECULIAR)

    def test_queues_and_tasks_are_told_apart_by_their_bytes(self, store: Driver) -> None:
        """A claim takes jobs of the queue and of the tasks that it names, and of no other."""
        put(store, *(new_job(f"queue {number}", queue=text) for number, text in enumerate(PECULIAR)))
        put(store, *(new_job(f"task {number}", task=text) for number, text in enumerate(PECULIAR)))
        for text in PECULIAR:
            assert [job.queue for job in take(store, queues=(text,))] == [text]
            assert [job.task for job in take(store, queues=(QUEUE,), tasks=frozenset([text]))] == [text]

    @one_place
    def test_unique_keys_and_turns_are_told_apart_by_their_bytes(self, store: Driver) -> None:
        """Two keys are one only if their bytes are the same."""
        jobs = [NewJob(f"{n}", QUEUE, TASK, b"", unique_key=text, key=text) for n, text in enumerate(PECULIAR)]
        answers = store.insert(jobs)
        assert [answer.outcome for answer in answers] == [Insertion.INSERTED] * len(PECULIAR)
        assert [answer.state for answer in answers] == [State.PENDING] * len(PECULIAR)
        for number, text in enumerate(PECULIAR):
            assert ids(store.select(Where(unique_key=text)).jobs) == [f"{number}"]
            assert ids(store.select(Where(keys=[text])).jobs) == [f"{number}"]

    @one_place
    def test_groups_and_parents_are_told_apart_by_their_bytes(self, store: Driver) -> None:
        """A group and a parent are found by their bytes."""
        put(store, *(new_job(f"{n}", group=text, parents=(text,)) for n, text in enumerate(PECULIAR)))
        for number, text in enumerate(PECULIAR):
            assert ids(store.select(Where(groups=[text])).jobs) == [f"{number}"]
            assert ids(store.select(Where(parents=[text])).jobs) == [f"{number}"]
        assert store.count(By.GROUP_STATE) == {(text, State.PENDING): 1 for text in PECULIAR}

    @one_place
    def test_holders_are_told_apart_by_their_bytes(self, store: Driver) -> None:
        """A run is its holder's alone, to the byte."""
        put(store, *(new_job(f"{number:02}") for number in range(len(PECULIAR))))
        for text in PECULIAR:
            store.claim([Claim(queues=(QUEUE,))], holder=text, limit=1)
        for number, text in enumerate(PECULIAR):
            assert ids(store.select(Where(holder=text)).jobs) == [f"{number:02}"]
        stranger = Change("00", State.PENDING, holder=ANNA)
        (answer,) = store.update([stranger])
        assert answer.outcome is Outcome.REFUSED

    def test_keys_of_records_are_ordered_by_their_bytes(self, store: Driver) -> None:
        """Records are told apart and ordered by the bytes of their keys, and kinds by theirs."""
        store.write([Write(text, text, text.encode()) for text in PECULIAR])
        for text in PECULIAR:
            assert [record.value for record in store.read(text)] == [text.encode()]
        store.write([Write("all", text, b"") for text in PECULIAR])
        assert [record.key for record in store.read("all")] == bytewise(PECULIAR)

    def test_a_prefix_is_no_pattern(self, store: Driver) -> None:
        """A prefix finds the keys that begin with its bytes, whatever characters it has."""
        store.write([Write("all", text, b"") for text in PECULIAR])
        for prefix in ("a", "a%", "a_", "a*", "[", "a\\", "{", "ä", "e", "x" * 199, "\U0001f600", "a "):
            found = [record.key for record in store.read("all", prefix=prefix)]
            wanted = bytewise(text for text in PECULIAR if text.startswith(prefix))
            assert found == wanted, f"a prefix is no pattern, but {prefix!r} is taken for one"
