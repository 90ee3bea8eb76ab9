"""Short words for what nearly every test says: a job, a claim, the change that ends a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from longshore.contract import (
    EVERY,
    Answer,
    Change,
    Claim,
    Driver,
    Insertion,
    NewJob,
    Order,
    Outcome,
    State,
    StoredJob,
    Where,
)

QUEUE = "mail"
TASK = "send"
ANNA = "anna"
BERT = "bert"

T = TypeVar("T")


def new_job(identity: str, **fields: Any) -> NewJob:
    """A job that is not remarkable but in the fields given."""
    return NewJob(**{"id": identity, "queue": QUEUE, "task": TASK, "payload": b"{}"} | fields)


def stored_job(identity: str, state: State, now: int, **fields: Any) -> StoredJob:
    """A job to restore."""
    values: dict[str, Any] = {"queue": QUEUE, "task": TASK, "priority": 0, "created": now, "due": now, "codec": "json"}
    values |= {"id": identity, "state": state, "payload": b"{}", "digest": b""} | fields
    return StoredJob(**values)


def chunks(elements: Iterable[T], size: int) -> Iterator[list[T]]:
    """The elements in lists of at most ``size``."""
    rest = iter(elements)
    while chunk := list(islice(rest, size)):
        yield chunk


def put(store: Driver, *jobs: NewJob | StoredJob) -> None:
    """Inserts jobs, all of which must be new."""
    for chunk in chunks(jobs, store.limits.batch):
        refused = [
            (job.id, answer)
            for job, answer in zip(chunk, store.insert(chunk), strict=True)
            if answer.outcome is not Insertion.INSERTED
        ]
        assert not refused, f"expected every job to be inserted, not {refused}"


def take(store: Driver, *, holder: str = ANNA, limit: int = 10, **claim: Any) -> list[StoredJob]:
    """Claims from one queue."""
    return store.claim([Claim(**{"queues": (QUEUE,)} | claim)], holder=holder, limit=limit).jobs


def run(store: Driver, identity: str, **fields: Any) -> StoredJob:
    """Inserts a job and claims it."""
    put(store, new_job(identity, **fields))
    return start(store, identity)


def start(store: Driver, identity: str, *, holder: str = ANNA, reserve: bool = False) -> StoredJob:
    """Claims one job by its id."""
    jobs = take(store, holder=holder, id=identity, reserve=reserve)
    assert ids(jobs) == [identity], f"expected {identity} to be claimed, not {ids(jobs)}"
    return jobs[0]


def settle(job: StoredJob, to: State = State.SUCCEEDED, **more: Any) -> Change:
    """The change by which the run that holds the job ends it."""
    guards: dict[str, Any] = {"states": frozenset({job.state}), "generation": job.generation, "holder": job.holder}
    return Change(job.id, to, settles=True, **guards | more)


def move(store: Driver, identity: str, to: State | None = None, **more: Any) -> Answer:
    """One change, applied and answered."""
    (answer,) = store.update([Change(identity, to, **more)])
    return answer


def end(store: Driver, identity: str, to: State = State.CANCELLED) -> None:
    """Ends a job from outside."""
    answer = move(store, identity, to)
    assert answer.outcome is Outcome.MOVED, f"expected {identity} to be ended, not {answer}"


def stored(store: Driver, identity: str) -> StoredJob:
    """The job as the store has it."""
    (job,) = store.select(Where(ids=[identity])).jobs
    return job


def state_of(store: Driver, identity: str) -> State:
    """The job's state."""
    return stored(store, identity).state


def ids(jobs: Iterable[StoredJob]) -> list[str]:
    """Their ids, in their order."""
    return [job.id for job in jobs]


def outcomes(answers: Iterable[Answer]) -> list[Outcome]:
    """What became of each change."""
    return [answer.outcome for answer in answers]


def walk(
    store: Driver, where: Where = EVERY, *, order: Order = Order.OLDEST, limit: int = 100, body: bool = True
) -> list[StoredJob]:
    """All the jobs that ``where`` asks for, page by page."""
    found: list[StoredJob] = []
    after = None
    cursors: set[str] = set()
    while True:
        page = store.select(where, order=order, limit=limit, after=after, body=body)
        assert len(page.jobs) <= limit, f"expected at most {limit} jobs in a page, not {len(page.jobs)}"
        found += page.jobs
        after = page.after
        if after is None:
            return found
        assert after not in cursors, "a page leads back to one before: pages repeat jobs"
        cursors.add(after)


def bytewise(texts: Iterable[str]) -> list[str]:
    """Texts in the order of their bytes."""
    return sorted(texts, key=str.encode)


def names(count: int, prefix: str = "job") -> Sequence[str]:
    """Ids whose order is that of their numbers."""
    return [f"{prefix}-{number:06}" for number in range(count)]


PECULIAR: Sequence[str] = (
    *("a", "A", "a ", " a", "b", "a\tb", "\x01", "a%", "a_", "a*", "a?", "[a]", "a\\b", "a'b", 'a"b', "a:b", "a|b"),
    *("{a}", "a\nb", "null", "0", "00", "-1", "ä", "a\u0308", "\u00e9", "e\u0301", "ß", "ss", "I", "ı", "\uffee"),
    *("\U0001f600", "x" * 200, "x" * 199 + "y", "ü" * 100),
)
"""Texts that stores like to confuse: by case, by trailing space, by accents, as patterns, by their order in UTF-16."""
