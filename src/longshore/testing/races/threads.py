"""Jobs that many threads reach for."""

from __future__ import annotations

import threading
from collections import Counter

from longshore.contract import (
    SECOND,
    Change,
    Claim,
    Driver,
    Insertion,
    Outcome,
    State,
    StoredJob,
    Where,
)
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import Connect, one_place
from longshore.testing.races.crew import CREW, Crew, CrewFixtures, race
from longshore.testing.samples import (
    ANNA,
    QUEUE,
    ids,
    names,
    new_job,
    outcomes,
    put,
    run,
    settle,
    take,
    walk,
)
from longshore.testing.together import together

CLAIMS = [Claim(queues=(QUEUE,))]


class ThreadRaces(CrewFixtures):
    """Jobs."""

    def test_no_job_is_claimed_by_two(self, crew: Crew, store: Driver) -> None:
        """Of many callers that claim at once no two get one job, and together they get all."""
        wanted = names(300)
        put(store, *(new_job(name) for name in wanted))

        def claim_until_empty(connection: Driver, number: int) -> list[str]:
            taken: list[str] = []
            while jobs := take(connection, holder=f"holder {number}", limit=7):
                taken += ids(jobs)
            return taken

        taken = race(crew, claim_until_empty)
        everything = [name for names_of_one in taken for name in names_of_one] + ids(take(store, limit=100))
        twice = [name for name, times in Counter(everything).items() if times > 1]
        assert not twice, f"claimed twice: {twice}"
        assert sorted(everything) == wanted, "a job was claimed by nobody"
        for number, names_of_one in enumerate(taken):
            held = store.select(Where(holder=f"holder {number}"), limit=300, body=False).jobs
            assert sorted(ids(held)) == sorted(names_of_one)

    def test_one_insert_of_an_id_lands(self, crew: Crew, store: Driver) -> None:
        """Of many callers that insert the same ids, in different orders, one inserts each; the others are answered
        REPEATED."""
        wanted = names(40)

        def insert_all(connection: Driver, number: int) -> list[str]:
            jobs = [new_job(name) for name in (wanted if number % 2 else wanted[::-1])]
            answers = zip(jobs, connection.insert(jobs), strict=True)
            return [job.id for job, answer in answers if answer.outcome is Insertion.INSERTED]

        landed = [name for names_of_one in race(crew, insert_all) for name in names_of_one]
        assert sorted(landed) == wanted, "an id was inserted twice, or by nobody"
        assert sorted(ids(walk(store))) == wanted

    @one_place
    def test_one_job_gets_a_unique_key(self, crew: Crew, store: Driver) -> None:
        """Of many callers that insert jobs with the same unique keys, in different orders, one gets each."""
        keys = names(30, "key")

        def insert_all(connection: Driver, number: int) -> list[str]:
            jobs = [new_job(f"{key} {number}", unique_key=key) for key in (keys if number % 2 else keys[::-1])]
            answers = connection.insert(jobs)
            assert {answer.outcome for answer in answers} <= {Insertion.INSERTED, Insertion.HELD}
            assert all(answer.held_by is None or answer.held_by[:-2] in keys for answer in answers)
            return [job.id for job, answer in zip(jobs, answers, strict=True) if answer.outcome is Insertion.INSERTED]

        landed = [name for names_of_one in race(crew, insert_all) for name in names_of_one]
        assert sorted(name[:-2] for name in landed) == keys, "a unique key was given to two, or to nobody"
        assert sorted(ids(walk(store))) == sorted(landed)

    @one_place
    def test_turns_are_given_once(self, crew: Crew, store: Driver) -> None:
        """Of many callers that insert jobs of one key, as many get a turn as there are, one each."""
        race(
            crew,
            lambda connection, number: put(
                connection, *(new_job(f"{number} {n}", key="k", turns=2) for n in range(10))
            ),
        )
        jobs = walk(store)
        assert sorted(job.turn for job in jobs if job.turn is not None) == [0, 1], "a turn was given to two"
        assert Counter(job.state for job in jobs) == {State.PENDING: 2, State.WAITING: 10 * CREW - 2}

    @one_place
    def test_a_unique_key_lets_one_in_at_a_time(self, crew: Crew) -> None:
        """Jobs of one unique key never overlap, while callers insert, run and end them as fast as they can."""
        alone = threading.Lock()

        def enter_and_leave(connection: Driver, number: int) -> int:
            entered = 0
            for attempt in range(40):
                name = f"{number} {attempt}"
                if connection.insert([new_job(name, unique_key="door")])[0].outcome is Insertion.INSERTED:
                    assert alone.acquire(blocking=False), "two jobs hold one unique key"
                    entered += 1
                    (job,) = take(connection, id=name)
                    alone.release()
                    assert outcomes(connection.update([settle(job)])) == [Outcome.MOVED]
            return entered

        assert sum(race(crew, enter_and_leave)) >= 1

    def test_bulk_updates_in_opposite_orders_do_not_lock_each_other_out(self, crew: Crew, store: Driver) -> None:
        """Changes of the same jobs in opposite orders all go through."""
        wanted = names(60)
        put(store, *(new_job(name) for name in wanted))

        def change_all(connection: Driver, number: int) -> set[Outcome]:
            order = wanted if number % 2 else wanted[::-1]
            found: set[Outcome] = set()
            for turn in range(8):
                changes = [Change(name, fields={"priority": number * 10 + turn}) for name in order]
                found.update(outcomes(connection.update(changes)))
            return found

        assert race(crew, change_all) == [{Outcome.MOVED}] * CREW
        assert {job.priority % 10 for job in walk(store)} == {7}

    def test_a_run_settles_once(self, crew: Crew, store: Driver) -> None:
        """Of many callers that send one settling change, one is answered MOVED, the others REPEATED."""
        change = settle(run(store, "a"), State.PENDING, fields={"attempt_record": b"t"})
        found = Counter(race(crew, lambda connection, number: connection.update([change])[0].outcome))
        assert found == {Outcome.MOVED: 1, Outcome.REPEATED: CREW - 1}, "one change was applied twice"

    def test_a_rescue_has_one_winner(self, crew: Crew, store: Driver) -> None:
        """Of many callers that take a lost run from its holder, one moves it."""
        lost = run(store, "a")
        fence = Change("a", State.PENDING, generation=lost.generation, holder=lost.holder, fields={"crashes": 1})
        found = Counter(race(crew, lambda connection, number: connection.update([fence])[0].outcome))
        assert found[Outcome.MOVED] == 1, "a lost run was rescued twice"

    def test_a_job_is_cancelled_or_claimed(self, crew: Crew, store: Driver) -> None:
        """Of callers that cancel pending jobs while others claim them, each job goes to one of the two."""
        wanted = names(120)
        put(store, *(new_job(name) for name in wanted))

        def reach(connection: Driver, number: int) -> list[str]:
            if number % 2:
                return [job.id for _ in range(20) for job in take(connection, limit=5)]
            states = frozenset({State.PENDING})
            changes = [Change(name, State.CANCELLED, states=states) for name in wanted[::-1]]
            answers = [answer for change in changes for answer in connection.update([change])]
            pairs = zip(changes, answers, strict=True)
            return [change.id for change, answer in pairs if answer.outcome is Outcome.MOVED]

        found = race(crew, reach)
        both = [name for names_of_one in found for name in names_of_one]
        assert len(both) == len(set(both)), "a job was cancelled and claimed, or moved twice"
        assert set(both) | set(ids(store.select(Where(states=[State.PENDING]), limit=200).jobs)) == set(wanted)

    def test_a_job_is_removed_or_claimed(self, crew: Crew, store: Driver) -> None:
        """Of callers that delete jobs while others claim them, each job goes to one of the two."""
        wanted = names(120)
        put(store, *(new_job(name) for name in wanted))

        def reach(connection: Driver, number: int) -> list[str]:
            if number % 2:
                return [job.id for _ in range(12) for job in take(connection, limit=5)]
            return [name for _ in range(12) for name in connection.delete(Where(queues=[QUEUE]), limit=5)]

        found = [name for names_of_one in race(crew, reach) for name in names_of_one]
        assert len(found) == len(set(found)), "a job was removed and claimed, or given to two"
        held = ids(store.select(Where(states=[State.RUNNING]), limit=200).jobs)
        removed = set(wanted) - set(ids(walk(store)))
        assert removed.isdisjoint(held)
        assert removed <= set(found)

    def test_workers_do_every_job_once(self, crew: Crew, store: Driver) -> None:
        """Workers that settle and claim by `exchange` end every job, each once."""
        wanted = names(240)
        put(store, *(new_job(name) for name in wanted))

        def work(connection: Driver, number: int) -> int:
            jobs: list[StoredJob] = []
            moved = 0
            while True:
                changes = [settle(job) for job in jobs]
                answers, claimed = connection.exchange(changes, CLAIMS, holder=f"holder {number}", limit=9)
                assert set(outcomes(answers)) <= {Outcome.MOVED}, "a run was settled by two"
                moved, jobs = moved + len(answers), claimed.jobs
                if not jobs and not changes:
                    return moved

        done = sum(race(crew, work)) + work(store, CREW)
        assert done == len(wanted)
        assert {(job.state, job.generation) for job in walk(store)} == {(State.SUCCEEDED, 1)}

    def test_an_expired_job_is_answered_once(self, crew: Crew, store: Driver, clock: ManualClock) -> None:
        """Of many callers that meet jobs past their deadline, one answers each."""
        wanted = names(60)
        put(store, *(new_job(name, expires_in=SECOND) for name in wanted))
        clock.advance(2)

        def meet(connection: Driver, number: int) -> list[str]:
            holder = f"holder {number}"
            return [name for _ in range(4) for name in connection.claim(CLAIMS, holder=holder, limit=5).expired]

        found = [name for names_of_one in race(crew, meet) for name in names_of_one]
        found += store.claim(CLAIMS, holder=ANNA, limit=5).expired
        assert sorted(found) == wanted, "an expired job was answered by two, or by nobody"

    def test_many_migrate_at_once(self, connect: Connect) -> None:
        """Connections that migrate a new store at the same time all succeed, and the store works."""
        crew = [connect() for _ in range(CREW)]
        together(*(connection.migrate for connection in crew))
        race(crew, lambda connection, number: put(connection, new_job(f"{number}")))
        assert len(walk(crew[0])) == CREW
