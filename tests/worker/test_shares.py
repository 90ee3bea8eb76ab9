"""How workers share the tokens of a limit, and what each may use of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from longshore.limits.stored import QUEUE_LIMIT, ReadLimit, Rule, StoredLimit, Subject
from longshore.worker.claims.allotment import Allotment
from longshore.worker.claims.shares import Asking, Standing, shared_out

ME, OTHERS = "me", ("anna", "boris", "clara")

records = st.builds(
    lambda running, shares, waiting: StoredLimit(Rule(running), shares, tuple(waiting)),
    st.integers(0, 12),
    st.dictionaries(st.sampled_from((ME, *OTHERS)), st.integers(1, 6)),
    st.sets(st.sampled_from((ME, *OTHERS))),
)
questions = st.builds(
    lambda wanted, free, is_claiming, is_ending: Asking(
        ME, wanted, min(wanted, free), 0.0, is_claiming=is_claiming, is_ending=is_ending
    ),
    st.integers(0, 20),
    st.integers(0, 10),
    st.booleans(),
    st.booleans(),
)
standings = st.builds(Standing, st.integers(0, 8), st.booleans(), st.booleans())


@given(stored=records, asking=questions, standing=standings)
def test_nobody_takes_what_is_not_there_or_gives_what_it_uses(
    stored: StoredLimit, asking: Asking, standing: Standing
) -> None:
    after = shared_out(stored, asking, standing)
    mine, before = after.shares.get(ME, 0), stored.shares.get(ME, 0)
    assert mine >= standing.used
    assert {name: share for name, share in after.shares.items() if name != ME} == {
        name: share for name, share in stored.shares.items() if name != ME
    }
    if mine > max(before, standing.used):
        assert asking.is_claiming
        assert sum(after.shares.values()) <= (stored.rule.running or 0)
    if asking.is_ending:
        assert mine == standing.used
        assert ME not in after.waiting


@given(running=st.integers(1, 12), wanted=st.integers(1, 20))
def test_all_tokens_are_used_by_one_that_is_alone_and_who_gets_none_waits(running: int, wanted: int) -> None:
    asking, idle = Asking(ME, wanted, wanted, 0.0), Standing(0, is_unused=False, is_turn_over=False)
    after = shared_out(StoredLimit(Rule(running)), asking, idle)
    assert after.shares[ME] >= min(running, wanted)
    late = shared_out(replace(after, shares={"anna": running}), asking, idle)
    assert (late.shares, late.waiting) == ({"anna": running}, (ME,))


def test_when_a_turn_is_over_who_waits_gets_a_fair_part() -> None:
    stored = StoredLimit(Rule(6), {ME: 6}, ("anna", "boris"))
    asking = Asking(ME, 10, 10, 0.0)
    assert shared_out(stored, asking, Standing(0, False, is_turn_over=True)).shares == {ME: 2}
    assert shared_out(stored, asking, Standing(5, False, is_turn_over=True)).shares == {ME: 5}, "those in use are kept"
    few = StoredLimit(Rule(1), {ME: 1}, ("anna", "boris"))
    assert shared_out(few, asking, Standing(0, False, is_turn_over=False)).shares == {ME: 1}
    after = shared_out(few, asking, Standing(0, False, is_turn_over=True))
    assert (after.shares, after.waiting) == ({}, ("anna", "boris", ME))


def test_while_more_run_than_allowed_own_tokens_are_of_no_use() -> None:
    stored = StoredLimit(Rule(4), {ME: 2, "anna": 3})
    assert Allotment(ReadLimit(Subject(QUEUE_LIMIT, "mail"), stored, 1), 0.0).room(ME) == 1
    stored = replace(stored, rule=Rule(3))
    assert Allotment(ReadLimit(Subject(QUEUE_LIMIT, "mail"), stored, 1), 0.0).room(ME) == 0
