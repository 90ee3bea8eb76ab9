"""What is moved in tests: a job in every state, with everything that a job can have."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from longshore.contract import ENDED, SECOND, IfParentFails, Instant, Order, State, StoredJob, UniqueScope
from longshore.guard import Guard
from longshore.testing.samples import stored_job

DAY = 86_400 * SECOND


def one_of_each(now: Instant) -> list[StoredJob]:
    """Jobs in every state that nobody holds, and what is remarkable in one of them each."""
    ends = [
        stored_job(
            state.name.lower(),
            state,
            now - DAY + state,
            ended=now - 3_600 * SECOND,
            generation=3,
            attempt=2,
            settled=3,
            settled_by="gone",
            attempts=(b"first\x00", b"second"),
            tries=2,
            result=b"\xffdone" if state is State.SUCCEEDED else None,
            result_codec="pickle" if state is State.SUCCEEDED else None,
            notes={"who": "Anna", "pages": [1, {"deep": True}]},
        )
        for state in ENDED
    ]
    return [
        *ends,
        stored_job("plain", State.PENDING, now - 50, payload=b'{"to":"a"}', digest=b"d" * 16, group="May"),
        stored_job("retried", State.PENDING, now - 49, due=now + DAY, attempt=2, generation=2, tries=2, crashes=1),
        stored_job("urgent", State.PENDING, now - 48, priority=9, expires=now + 2 * DAY, cursor=b"page 3\x00"),
        stored_job("unique", State.PENDING, now - 47, unique_key="report", unique_held=True),
        stored_job("head", State.PENDING, now - 46, key="account", turn=0),
        stored_job("second", State.WAITING, now - 45, key="account"),
        stored_job("child", State.WAITING, now - 44, parents=("plain", "succeeded"), lax=True),
        stored_job(
            "called", State.WAITING, now - 43, parents=("urgent",), if_parent_fails=IfParentFails.RUN, queue="other"
        ),
        stored_job(
            "daily",
            State.SUCCEEDED,
            now - 42,
            ended=now - 41,
            unique_key="day",
            unique_held=True,
            unique_scope=UniqueScope.PERIOD,
            unique_until=now + DAY,
        ),
    ]


def many(number: int, now: Instant) -> list[StoredJob]:
    """So many jobs that are alike, and wait."""
    return [stored_job(f"job-{place:06}", State.PENDING, now - number + place) for place in range(number)]


def all_of(store: Guard) -> list[StoredJob]:
    """All jobs of a store, oldest first."""
    return list(store.each(order=Order.OLDEST))


def as_they_were(jobs: Iterable[StoredJob]) -> list[StoredJob]:
    """Jobs in the order in which a store shows them."""
    return sorted((replace(job) for job in jobs), key=lambda job: (job.created, job.id.encode()))
