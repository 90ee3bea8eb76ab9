"""Many plain jobs are copied in; where ids clash they are inserted as ever, and answered as ever."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest

from longshore.contract import Insertion, NewJob, Order, State
from longshore_sql.postgres.copied_inserting import LEAST, CopiedInserting
from longshore_sql.postgres.driver import PostgresDriver

SIGNS = ["a\tb", "a\nb\r", "a\\b", "\\N", "\\.", "é😀", "{},\"'"]


def jobs(number: int = LEAST, first: int = 0, **fields: Any) -> list[NewJob]:
    return [NewJob(f"{n:05}", "q", "t", b"\0\\x\xff%d" % n, **fields) for n in range(first, first + number)]


def stored(store: PostgresDriver) -> list[Any]:
    return store.select(order=Order.OLDEST, limit=1_000).jobs


def outcomes(store: PostgresDriver, new: list[NewJob]) -> list[Insertion]:
    return [answer.outcome for answer in store.insert(new)]


def test_jobs_are_stored_as_they_were_given_in_their_order(store: PostgresDriver) -> None:
    new = jobs(priority=-3, digest=b"\t\n", codec="c\\", max_attempts=7, max_crashes=2)[::-1]
    with patch.object(CopiedInserting, "copy", autospec=True, side_effect=CopiedInserting.copy) as copying:
        assert outcomes(store, new) == [Insertion.INSERTED] * LEAST
    assert copying.call_count == 1
    found = stored(store)
    assert [job.id for job in found] == [job.id for job in new]
    for job, asked in zip(found, new, strict=True):
        for name in ("queue", "task", "payload", "codec", "digest", "priority", "max_attempts", "max_crashes"):
            assert getattr(job, name) == getattr(asked, name)
        assert (job.state, job.due) == (State.PENDING, found[0].due)


@pytest.mark.parametrize("sign", SIGNS, ids=ascii)
def test_whatever_signs_names_have(store: PostgresDriver, sign: str) -> None:
    new = [NewJob(f"{sign}{n:05}", sign, f"task {sign}", sign.encode(), codec=sign) for n in range(LEAST)]
    assert set(outcomes(store, new)) == {Insertion.INSERTED}
    found = {(job.id, job.queue, job.task, job.payload, job.codec) for job in stored(store)}
    assert found == {(job.id, job.queue, job.task, job.payload, job.codec) for job in new}


def test_those_due_later_are_not_due(store: PostgresDriver) -> None:
    store.insert(jobs(delay=3_600_000_000))
    store.insert(jobs(first=LEAST, due=5))
    due = {job.id: job.due - job.created for job in stored(store)}
    assert due["00000"] == pytest.approx(3_600_000_000, abs=LEAST)
    assert stored(store)[-1].due == 5


@pytest.mark.parametrize("clashing", [0, LEAST // 2, LEAST - 1])
def test_an_id_that_is_there_is_repeated_and_the_others_are_stored(store: PostgresDriver, clashing: int) -> None:
    store.insert(jobs(1, first=clashing))
    expected = [Insertion.INSERTED] * LEAST
    expected[clashing] = Insertion.REPEATED
    assert outcomes(store, jobs()) == expected
    assert len(stored(store)) == LEAST


def test_two_of_one_id_are_one_job(store: PostgresDriver) -> None:
    assert outcomes(store, [*jobs(), *jobs(1)]) == [*[Insertion.INSERTED] * LEAST, Insertion.REPEATED]
    assert len(stored(store)) == LEAST


def test_who_has_clashed_is_not_copied_for_a_while(store: PostgresDriver) -> None:
    with patch.object(CopiedInserting, "copy", autospec=True, side_effect=CopiedInserting.copy) as copying:
        for _ in range(12):
            store.insert(jobs())
        assert copying.call_count == 2, "the first call, which stored them, and the second, which clashed"
        store.insert(jobs())
        assert copying.call_count == 3
