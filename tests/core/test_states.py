"""The state machine: each row of its table does what the design says, and nothing else is possible."""

from __future__ import annotations

from typing import Any

import pytest

from core.states_page import PAGE, page
from longshore import states
from longshore.contract import ENDED, HELD, SECOND, Change, State, StoredJob, UniqueScope
from longshore.errors import IllegalMove
from longshore.reference import changed, guards_hold, was_made
from longshore.states import EVENTS, Event, move
from longshore.testing.samples import ANNA, BERT, stored_job

BORN = 1_900_000_000 * SECOND
NOW = BORN + 60 * SECOND
WAITING, PENDING, RESERVED, RUNNING = State.WAITING, State.PENDING, State.RESERVED, State.RUNNING


def job_in(state: State, **fields: Any) -> StoredJob:
    """A job in the middle of its life, with both slots."""
    values: dict[str, Any] = {"generation": 3, "attempt": 2, "crashes": 1, "snoozes": 4, "key": "k", "unique_key": "u"}
    if state in HELD:
        values |= {"holder": ANNA, "started": BORN}
    if state in ENDED:
        values |= {"ended": BORN, "result": b"1", "result_codec": "json"}
    else:
        values |= {"turn": 0, "unique_held": True}
    return stored_job("job", state, BORN, **values | fields)


def apply(event: Event, job: StoredJob, **fields: Any) -> StoredJob:
    change = move(event, job, fields)
    assert guards_hold(job, change), f"expected {event.name} to be allowed from {job.state.name}"
    return changed(job, change, NOW)


def counts(job: StoredJob) -> dict[str, int]:
    return {"attempt": job.attempt, "generation": job.generation, "crashes": job.crashes, "snoozes": job.snoozes}


BEFORE = counts(job_in(PENDING))

# Event, from, to, what is counted otherwise than before. This table is the design's, not drawn from the code.
ROWS = [
    (states.UNBLOCK, WAITING, PENDING, {}),
    (states.START, RESERVED, RUNNING, {"attempt": 3}),
    (states.RELEASE, RUNNING, PENDING, {"attempt": 1}),
    (states.UNRESERVE, RESERVED, PENDING, {}),
    (states.SNOOZE, RUNNING, PENDING, {"attempt": 1, "snoozes": 5}),
    (states.FINISH, RESERVED, State.SUCCEEDED, {}),
    (states.FINISH, RUNNING, State.SUCCEEDED, {}),
    (states.FAIL, RUNNING, PENDING, {}),
    (states.GIVE_UP, RUNNING, State.FAILED, {}),
    (states.DISCARD, RUNNING, State.FAILED, {}),
    (states.STOP, RUNNING, State.CANCELLED, {}),
    (states.STOP, RESERVED, State.CANCELLED, {}),
    (states.CANCEL, WAITING, State.CANCELLED, {}),
    (states.CANCEL, PENDING, State.CANCELLED, {}),
    (states.CANCEL, RESERVED, State.CANCELLED, {}),
    (states.ASK_CANCEL, RUNNING, RUNNING, {}),
    (states.FORCE_CANCEL, RUNNING, State.CANCELLED, {}),
    (states.FORCE_CANCEL, PENDING, State.CANCELLED, {}),
    (states.EXPIRE, WAITING, State.EXPIRED, {}),
    (states.EXPIRE, PENDING, State.EXPIRED, {}),
    (states.RESCUE, RUNNING, PENDING, {"attempt": 1, "crashes": 2}),
    (states.RESCUE_RESERVED, RESERVED, PENDING, {}),
    (states.ABANDON, RUNNING, State.ABANDONED, {"attempt": 1, "crashes": 2}),
    (states.RESCUE_CANCELLED, RUNNING, State.CANCELLED, {}),
    (states.RESCUE_CANCELLED, RESERVED, State.CANCELLED, {}),
    *((states.PURGE, state, State.ABANDONED, {}) for state in (WAITING, PENDING, RESERVED, RUNNING)),
    *((states.RETRY, state, PENDING, {"generation": 4, "crashes": 0}) for state in State),
    *((states.RETRY_IN_LINE, state, WAITING, {"generation": 4, "crashes": 0}) for state in (WAITING, *sorted(ENDED))),
    (states.EDIT, WAITING, WAITING, {}),
    (states.EDIT, PENDING, PENDING, {}),
]
IDS = [f"{event.name} from {source.name.lower()}" for event, source, *_ in ROWS]


@pytest.mark.parametrize(("event", "source", "to", "counted"), ROWS, ids=IDS)
def test_an_event_leads_where_the_design_says_and_counts_what_it_says(
    event: Event, source: State, to: State, counted: dict[str, int]
) -> None:
    after = apply(event, job_in(source))
    assert after.state is to
    assert counts(after) == BEFORE | counted


@pytest.mark.parametrize(("event", "source", "to", "counted"), ROWS, ids=IDS)
def test_an_event_frees_the_holder_and_the_slots_as_its_end_demands(
    event: Event, source: State, to: State, counted: dict[str, int]
) -> None:
    before = job_in(source)
    after = apply(event, before)
    assert after.holder == (ANNA if to in HELD else None)
    assert after.ended == (NOW if to in ENDED else None)
    if to in ENDED:
        assert (after.turn, after.unique_held) == (None, False)
    else:
        assert (after.turn, after.unique_held) == (before.turn, before.unique_held)
        assert (after.result, after.result_codec) == (None, None)


def test_every_event_has_its_rows() -> None:
    assert {event.name for event, *_ in ROWS} == {event.name for event in EVENTS}
    assert len({event.name for event in EVENTS}) == len(EVENTS)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_an_event_from_any_other_state_is_an_illegal_move_that_says_what_was_expected(event: Event) -> None:
    for state in frozenset(State) - event.sources:
        with pytest.raises(IllegalMove) as caught:
            move(event, job_in(state))
        message = str(caught.value)
        assert f"job is {state.name.lower()}" in message
        assert all(source.name.lower() in message for source in event.sources)


def test_an_illegal_move_reads_as_a_sentence() -> None:
    with pytest.raises(
        IllegalMove, match=r"^'cancel' needs a job that is waiting, pending or reserved; job is succeeded$"
    ):
        move(states.CANCEL, job_in(State.SUCCEEDED))


def test_starting_a_reserved_job_frees_the_unique_key_that_is_held_until_start() -> None:
    assert not apply(states.START, job_in(RESERVED, unique_scope=UniqueScope.START)).unique_held
    assert apply(states.START, job_in(RESERVED, unique_scope=UniqueScope.END)).unique_held


def test_an_end_keeps_the_unique_key_of_a_period_that_still_runs() -> None:
    period = {"unique_scope": UniqueScope.PERIOD}
    assert apply(states.FINISH, job_in(RUNNING, unique_until=NOW + 1, **period)).unique_held
    assert not apply(states.FINISH, job_in(RUNNING, unique_until=NOW, **period)).unique_held


def test_a_release_keeps_the_due_time_and_the_place_and_a_snooze_moves_it() -> None:
    job = job_in(RUNNING)
    assert apply(states.RELEASE, job).due == job.due
    assert apply(states.SNOOZE, job, delay=5 * SECOND).due == NOW + 5 * SECOND


OWN = (states.RELEASE, states.SNOOZE, states.FINISH, states.FAIL, states.GIVE_UP, states.DISCARD, states.STOP)


@pytest.mark.parametrize("event", OWN, ids=lambda event: event.name)
def test_a_run_that_ends_itself_is_remembered_so_that_a_repeat_is_known(event: Event) -> None:
    job = job_in(RUNNING)
    change = move(event, job)
    after = changed(job, change, NOW)
    assert (after.settled, after.settled_by) == (3, ANNA)
    assert not guards_hold(after, change)
    assert was_made(after, change)


@pytest.mark.parametrize("event", OWN, ids=lambda event: event.name)
def test_a_late_run_changes_nothing_of_a_newer_one(event: Event) -> None:
    change = move(event, job_in(RUNNING))
    for newer in (job_in(RUNNING, generation=4), job_in(RUNNING, holder=BERT), job_in(PENDING)):
        assert not guards_hold(newer, change)
        assert not was_made(newer, change)


def test_starting_is_no_end_and_its_repeat_is_known_all_the_same() -> None:
    job = job_in(RESERVED)
    change = move(states.START, job)
    after = changed(job, change, NOW)
    assert after.settled is None
    assert after.started == NOW
    assert was_made(after, change)


@pytest.mark.parametrize("event", [event for event in EVENTS if event.unless_cancelled], ids=lambda event: event.name)
def test_a_job_that_is_to_be_cancelled_goes_on_by_no_event(event: Event) -> None:
    (source,) = event.sources
    assert not guards_hold(job_in(source, cancel_asked=True), move(event, job_in(source)))


@pytest.mark.parametrize("event", [states.FINISH, states.DISCARD, states.STOP], ids=lambda event: event.name)
def test_a_run_may_end_after_somebody_asked_to_cancel(event: Event) -> None:
    assert guards_hold(job_in(RUNNING, cancel_asked=True), move(event, job_in(RUNNING)))


@pytest.mark.parametrize("event", [states.CANCEL, states.EXPIRE, states.EDIT], ids=lambda event: event.name)
def test_a_change_from_outside_is_void_when_the_job_was_claimed_meanwhile(event: Event) -> None:
    seen = job_in(PENDING)
    assert not guards_hold(job_in(RUNNING, generation=4), move(event, seen))
    assert not guards_hold(job_in(PENDING, generation=4), move(event, seen))


def test_no_rescue_touches_a_run_that_began_after_it_looked() -> None:
    change = move(states.RESCUE, job_in(RUNNING))
    assert not guards_hold(job_in(RUNNING, generation=4, holder=BERT), change)
    assert not change.settles


def test_a_count_never_falls_below_zero() -> None:
    assert apply(states.RELEASE, job_in(RUNNING, attempt=0)).attempt == 0


def test_a_retry_begins_without_crashes_or_a_wish_to_cancel_and_with_an_attempt_left() -> None:
    job = job_in(State.FAILED, attempt=5, max_attempts=5, crashes=3, cancel_asked=True)
    after = apply(states.RETRY, job)
    assert (after.crashes, after.cancel_asked, after.max_attempts) == (0, False, 6)
    assert apply(states.RETRY, job, max_attempts=9).max_attempts == 9
    assert apply(states.RETRY, job_in(State.FAILED, max_attempts=None)).max_attempts is None


def test_a_retry_voids_the_run_that_is_on() -> None:
    running = job_in(RUNNING)
    after = apply(states.RETRY, running)
    assert not guards_hold(after, move(states.FINISH, running))


def test_a_move_leaves_the_fields_it_was_given_alone() -> None:
    fields: dict[str, Any] = {"delay": SECOND}
    change = move(states.SNOOZE, job_in(RUNNING), fields)
    assert fields == {"delay": SECOND}
    assert change == Change(
        "job", PENDING, {"delay": SECOND, "attempt": 1, "snoozes": 5}, frozenset({RUNNING}), 3, ANNA, False, True
    )


def test_a_state_is_an_end_or_not() -> None:
    assert {state for state in State if states.is_ended(state)} == ENDED


def test_the_page_of_the_states_is_what_the_machine_says() -> None:
    assert PAGE.read_text() == page(), "docs/states.md is old: run python tests/core/states_page.py"
