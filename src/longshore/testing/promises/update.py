"""What `update` promises of moves and fields."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from longshore import reference
from longshore.contract import (
    ATTEMPTS_KEPT,
    ENDED,
    HELD,
    SECOND,
    Answer,
    Change,
    Driver,
    Fields,
    IfParentFails,
    Outcome,
    State,
    UniqueScope,
    Where,
)
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import StoreFixtures, one_place
from longshore.testing.samples import (
    end,
    ids,
    move,
    names,
    new_job,
    outcomes,
    put,
    run,
    settle,
    start,
    state_of,
    stored,
    take,
)

FIELDS: Fields = {
    "queue": "other",
    "priority": -3,
    "due": 1_700_000_000_000_001,
    "expires": 2_700_000_000_000_001,
    "attempt": 4,
    "max_attempts": None,
    "crashes": 1,
    "max_crashes": 8,
    "snoozes": 2,
    "codec": "pickle",
    "payload": b"\x00new",
    "digest": b"new digest",
    "result_codec": "json",
    "result": b"\xffresult",
    "cursor": b"cursor\x00",
    "notes": {"new": [1]},
    "parents": ("x", "y"),
    "lax": True,
    "if_parent_fails": IfParentFails.WAIT,
    "cancel_asked": True,
    "awaited": True,
    "releases": True,
    "unique_key": "new key",
    "unique_until": 2_600_000_000_000_001,
    "unique_held": True,
    "attempt_record": b"it failed",
}


class UpdatePromises(StoreFixtures):
    """Changes."""

    def test_a_change_without_guards_is_applied(self, store: Driver) -> None:
        """A change of a stored job is applied, and answered with how the job stands now."""
        put(store, new_job("a", awaited=True))
        answer = move(store, "a", State.CANCELLED, fields={"cancel_asked": True})
        assert answer == Answer(Outcome.MOVED, State.CANCELLED, 0, cancel_asked=True, awaited=True)

    @one_place
    def test_every_field_can_be_changed(self, store: Driver, clock: ManualClock) -> None:
        """Each field of the closed list is stored as given, all of them together too; what is not named stays."""
        put(store, new_job("all", notes={"old": 1}, group="g"))
        before = stored(store, "all")
        assert move(store, "all", fields=FIELDS).outcome is Outcome.MOVED
        assert stored(store, "all") == reference.changed(before, Change("all", fields=FIELDS), clock())
        for number, (name, value) in enumerate(FIELDS.items()):
            identity = f"{number}"
            put(store, new_job(identity, unique_key=f"key {number}"))
            move(store, identity, fields={"unique_held": False})
            before = stored(store, identity)
            fields: Any = {name: value}
            if name == "unique_key":
                fields[name] = "another new key"
            change = Change(identity, fields=fields)
            assert store.update([change])[0].outcome is Outcome.MOVED
            assert stored(store, identity) == reference.changed(before, change, clock())

    @one_place
    def test_fields_can_be_emptied(self, store: Driver) -> None:
        """A field that may be None is emptied by None."""
        put(store, new_job("a", expires_in=SECOND, unique_key="u"))
        move(store, "a", fields={"cursor": b"c", "result": b"r", "result_codec": "json", "unique_until": 5})
        empty: Fields = {"expires": None, "cursor": None, "result": None, "result_codec": None, "unique_until": None}
        move(store, "a", fields=empty)
        job = stored(store, "a")
        assert (job.expires, job.cursor, job.result, job.result_codec, job.unique_until) == (None,) * 5
        move(store, "a", fields={"unique_key": None})
        assert stored(store, "a").unique_key is None

    def test_a_delay_is_counted_from_the_change(self, store: Driver, clock: ManualClock) -> None:
        """``delay`` makes the job due so long after the change."""
        put(store, new_job("a"))
        clock.advance(3)
        move(store, "a", fields={"delay": 2 * SECOND})
        assert stored(store, "a").due == clock() + 2 * SECOND

    def test_notes_are_merged_per_top_level_key(self, store: Driver) -> None:
        """Each top-level key of the notes replaces the stored one, what is within it too; None removes; the others
        stay."""
        put(store, new_job("a", notes={"stay": 1, "go": 2, "deep": {"x": 1, "y": [1]}}))
        move(store, "a", fields={"notes": {"go": None, "deep": {"z": None}, "new": "n", "never there": None}})
        notes = dict(stored(store, "a").notes)
        assert notes == {"stay": 1, "deep": {"z": None}, "new": "n"}, "notes were not merged per top-level key alone"

    def test_the_last_attempts_are_kept(self, store: Driver) -> None:
        """Each ``attempt_record`` is appended; the last 20 stay in their order, ``tries`` counts them all."""
        put(store, new_job("a"))
        records = [f"attempt {number}".encode() * 100 for number in range(ATTEMPTS_KEPT + 5)]
        for record in records:
            move(store, "a", fields={"attempt_record": record})
        job = stored(store, "a")
        assert job.attempts == tuple(records[-ATTEMPTS_KEPT:]), "expected the last 20 attempts to be kept"
        assert job.tries == len(records)

    def test_an_end_is_an_end(self, store: Driver, clock: ManualClock) -> None:
        """A move to any end sets ``ended``, clears ``holder``, and keeps result, cursor, notes and attempts."""
        for to in sorted(ENDED):
            job = run(store, to.name, notes={"n": 1})
            clock.advance(1)
            fields: Fields = {"result": b"r", "result_codec": "json", "cursor": b"c", "attempt_record": b"t"}
            change = settle(job, to, fields=fields)
            store.update([change])
            after = stored(store, to.name)
            assert after == reference.changed(job, change, clock())
            assert (after.ended, after.holder, after.result, after.attempts) == (clock(), None, b"r", (b"t",))

    def test_a_retry_begins_anew(self, store: Driver, clock: ManualClock) -> None:
        """A move of an ended job to PENDING clears ``ended``, ``holder`` and ``result``, and it can be claimed."""
        job = run(store, "a")
        store.update([settle(job, fields={"result": b"old", "result_codec": "json"})])
        move(store, "a", State.PENDING, fields={"delay": 0})
        after = stored(store, "a")
        assert (after.ended, after.holder) == (None, None)
        assert (after.result, after.result_codec) == (None, None), "a retry keeps the old result"
        assert ids(take(store)) == ["a"]

    def test_a_job_can_be_made_to_wait(self, store: Driver) -> None:
        """A move to WAITING takes the job from the claims until it is PENDING again."""
        put(store, new_job("a"))
        assert move(store, "a", State.WAITING).state is State.WAITING
        assert ids(take(store)) == []
        assert move(store, "a", State.PENDING).state is State.PENDING
        assert ids(take(store)) == ["a"]

    @one_place
    def test_a_reserved_job_is_started(self, store: Driver, clock: ManualClock) -> None:
        """A move from RESERVED to RUNNING sets ``started``, keeps holder and generation, frees a key until start."""
        put(store, new_job("a", unique_key="u", unique_scope=UniqueScope.START))
        job = start(store, "a", reserve=True)
        clock.advance(4)
        (answer,) = store.update([replace(settle(job, State.RUNNING, fields={"attempt": 1}), settles=False)])
        assert answer.outcome is Outcome.MOVED
        after = stored(store, "a")
        assert (after.state, after.started, after.attempt) == (State.RUNNING, clock(), 1)
        assert (after.holder, after.generation, after.unique_held) == (job.holder, 1, False)

    def test_only_a_claim_and_a_manual_retry_raise_the_generation(self, store: Driver) -> None:
        """No change raises the generation but one that renews, and that by one."""
        job = run(store, "a")
        store.update([settle(job, State.PENDING)])
        move(store, "a", State.CANCELLED)
        move(store, "a", State.PENDING, fields={"priority": 1})
        assert stored(store, "a").generation == 1, "a change raised the generation"
        assert move(store, "a", State.PENDING, renews=True).generation == 2

    @one_place
    def test_children_that_wait_are_told(self, store: Driver) -> None:
        """An end says whether waiting jobs name this job as a parent, in its answer and in the job, until the core
        clears it; jobs that do not wait do not count."""
        put(store, new_job("p"), new_job("q"), new_job("r"), new_job("child", parents=("x", "p"), waiting=True))
        put(store, new_job("free", parents=("q",)))
        assert move(store, "p", fields={"priority": 1}).releases is False, "a job that has not ended is no parent yet"
        assert [move(store, name, State.SUCCEEDED).releases for name in "pqr"] == [True, False, False], (
            "an end does not say whom it releases"
        )
        assert ids(store.select(Where(releases=True)).jobs) == ["p"]
        assert move(store, "p", fields={"releases": False}).releases is False
        assert ids(store.select(Where(releases=True)).jobs) == []

    @one_place
    def test_jobs_that_wait_for_a_turn_are_told(self, store: Driver) -> None:
        """An end says whether jobs of its key wait for the turn that it had."""
        put(store, new_job("a", key="k"), new_job("b", key="k"), new_job("c", key="other"))
        assert [move(store, name, State.SUCCEEDED).releases for name in "ac"] == [True, False]

    @one_place
    def test_a_retried_job_releases_nothing(self, store: Driver) -> None:
        """A job that is pending again no longer releases anybody."""
        put(store, new_job("p"), new_job("child", parents=("p",), waiting=True))
        move(store, "p", State.FAILED)
        assert move(store, "p", State.PENDING, renews=True).releases is False
        assert stored(store, "p").releases is False

    @one_place
    def test_what_frees_a_slot_comes_before_what_takes_it(self, store: Driver) -> None:
        """First those changes that take no slot are applied, then the others."""
        put(store, new_job("a", key="k"), new_job("b", key="k"))
        takes, frees = Change("b", State.PENDING, {"turn": 0}), Change("a", State.SUCCEEDED)
        assert [answer.outcome for answer in store.update([takes, frees])] == [Outcome.MOVED, Outcome.MOVED]
        assert stored(store, "b").turn == 0

    @one_place
    def test_a_repeated_end_says_the_same(self, store: Driver) -> None:
        """Who sends an end again is told again whom it releases, until nobody waits any more and that is cleared."""
        job = run(store, "p")
        put(store, new_job("child", parents=("p",), waiting=True))
        change = settle(job)
        assert [store.update([change])[0].releases for _ in range(2)] == [True, True]
        move(store, "child", State.PENDING)
        move(store, "p", fields={"releases": False})
        assert store.update([change])[0].releases is False

    @one_place
    def test_changed_parents_are_the_parents(self, store: Driver) -> None:
        """After a change of the parents the new ones are asked, not the old."""
        put(store, new_job("p"), new_job("q"), new_job("child", parents=("p",), waiting=True))
        move(store, "child", fields={"parents": ("q",)})
        assert [move(store, name, State.SUCCEEDED).releases for name in "pq"] == [False, True]
        assert ids(store.select(Where(parents=["q"])).jobs) == ["child"]
        assert ids(store.select(Where(parents=["p"])).jobs) == []

    def test_a_change_of_nothing_tells_how_the_job_stands(self, store: Driver) -> None:
        """A change without a state and without fields moves nothing, and is answered as its guards hold: so a run
        learns whether it still holds its job, and whether somebody waits for it."""
        job = run(store, "a")
        put(store, new_job("other", awaited=True))
        before = stored(store, "a")
        look = Change("a", None, {}, HELD, job.generation, job.holder)
        answers = store.update([look, Change("other", None, {}), Change("nobody", None, {})])
        assert outcomes(answers) == [Outcome.MOVED, Outcome.MOVED, Outcome.REFUSED]
        assert [answer.awaited for answer in answers] == [False, True, False]
        assert stored(store, "a") == before
        store.update([settle(job)])
        assert outcomes(store.update([look])) == [Outcome.REFUSED], "it does not hold the job any more"

    def test_a_change_of_nobody_is_refused(self, store: Driver) -> None:
        """A change of an id that is not stored is answered REFUSED without a state."""
        assert move(store, "nobody", State.CANCELLED) == Answer(Outcome.REFUSED)

    @one_place
    def test_a_refused_change_spoils_no_other(self, store: Driver) -> None:
        """Each change of a call stands alone: the others are applied, and answered in their order."""
        put(store, *(new_job(name) for name in "abc"), new_job("owner", unique_key="u"))
        pending = frozenset({State.PENDING})
        end(store, "b")
        changes = [
            Change("c", State.CANCELLED, states=pending),
            Change("b", State.EXPIRED, states=pending),
            Change("nobody", State.CANCELLED),
            Change("owner", fields={"priority": 2}),
            Change("a", State.CANCELLED, states=pending),
        ]
        moved, refused = Outcome.MOVED, Outcome.REFUSED
        answers = outcomes(store.update(changes))
        assert answers == [moved, refused, refused, moved, moved], "a refused change spoilt its batch"
        assert [state_of(store, name) for name in "abc"] == [State.CANCELLED] * 3
        assert stored(store, "owner").priority == 2

    def test_changes_of_many_shapes_go_together(self, store: Driver) -> None:
        """One call may carry changes of any shapes, and as many as the limits allow."""
        size = min(store.limits.batch, 1_000)
        put(store, *(new_job(name) for name in names(size)))
        shapes: list[dict[str, Any]] = [
            {"to": State.CANCELLED},
            {"fields": {"priority": 3}},
            {"to": State.PENDING, "fields": {"delay": SECOND, "notes": {"x": 1}}},
            {"to": State.SUCCEEDED, "states": frozenset({State.PENDING}), "fields": {"result": b"r"}},
        ]
        changes = [Change(name, **shapes[number % 4]) for number, name in enumerate(names(size))]
        assert outcomes(store.update(changes)) == [Outcome.MOVED] * size
        assert len(store.select(Where(states=[State.SUCCEEDED]), limit=size).jobs) == size // 4

    def test_no_changes_no_answers(self, store: Driver) -> None:
        """An empty call is answered by an empty list."""
        assert store.update([]) == []
