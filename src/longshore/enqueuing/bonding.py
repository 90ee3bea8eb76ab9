"""How calls that are tied to each other become jobs: who is stored before whom, and under which ids."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any, Final, TypeAlias

from msgspec.structs import replace

from longshore.calls.call import Bonds, Call, digest_of, new_job
from longshore.contract import IfParentFails, Inserted, Insertion, NewJob, State, Where
from longshore.errors import InvalidValue, LongshoreError, StoreError
from longshore.following import Fate, fate_of, look
from longshore.guard import MAX_TEXT_BYTES, Guard, check_text

_CALLBACKS: Final = {
    "on_success": (False, IfParentFails.REMOVE),
    "on_failure": (False, IfParentFails.RUN),
    "on_end": (True, IfParentFails.REMOVE),
}
_NO_BONDS: Final = Bonds()
_log = logging.getLogger("longshore")
Enqueued: TypeAlias = "str | LongshoreError"
"""The id of the job that stands for a call, or why there is none."""
Settle: TypeAlias = Callable[[Call[Any], NewJob, Inserted], Enqueued]
"""What becomes of a call whose id or unique key is taken."""


class BoundBulk:
    """Stores the jobs of calls that are tied to each other, or to jobs that are stored already."""

    def __init__(
        self,
        store: Guard,
        calls: Sequence[Call[Any]],
        jobs: Sequence[NewJob],
        settle: Settle,
        tx: Any,
        given: Sequence[Call[Any]],
    ) -> None:
        self._store = store
        self._calls = calls
        self._plan = Plan(calls, jobs, given)
        self._called = [callbacks_of(call, job) for call, job in zip(calls, jobs, strict=True)]
        self._settle = settle
        self._tx = tx
        self._answers: dict[int, Enqueued] = {}
        self._waiting: list[str] = []
        self._orphans: list[str] = []

    def store_all(self) -> list[Enqueued]:
        """Stores them, parents first, and answers each call.

        Raises:
            PartialInsert: the store failed after some of them were stored.
        """
        for wave in self._plan.waves():
            self._store_wave([place for place in wave if not self._has_refused_parent(place)])
        if self._tx is None:
            self._tidy()
        return [self._answers[place] for place in range(len(self._calls))]

    def _has_refused_parent(self, place: int) -> bool:
        """Without its parent a call is refused as the parent was: else it would count it as ended."""
        for parent in self._plan.parents_within(place):
            answer = self._answers.get(parent)
            if isinstance(answer, LongshoreError):
                self._answers[place] = answer
        return place in self._answers

    def _store_wave(self, places: Sequence[int]) -> None:
        stored = {place: answer for place, answer in self._answers.items() if isinstance(answer, str)}
        jobs = [self._plan.job(place, stored) for place in places]
        if self._tx is not None:
            jobs = released_already(self._store, jobs)
        everything = [one for place, job in zip(places, jobs, strict=True) for one in (*self._called[place], job)]
        answers = iter(self._store.insert(everything, tx=self._tx, may_move=self._tx is None) if everything else ())
        for place, job in zip(places, jobs, strict=True):
            of_callbacks = list(islice(answers, len(self._called[place])))
            self._answer(place, job, next(answers), of_callbacks)

    def _answer(self, place: int, job: NewJob, answer: Inserted, of_callbacks: Sequence[Inserted]) -> None:
        is_new = answer.outcome is Insertion.INSERTED
        settled = job.id if is_new else self._settle(self._calls[place], job, answer)
        self._answers[place] = settled
        if settled != job.id:
            callbacks = zip(self._called[place], of_callbacks, strict=True)
            self._orphans += [one.id for one, its in callbacks if its.outcome is Insertion.INSERTED]
        elif answer.state is State.WAITING:
            self._waiting.append(job.id)

    def _tidy(self) -> None:
        """A parent may have ended, or a turn may have been left, before these jobs were seen to wait for it."""
        try:
            if self._orphans:
                self._store.delete(Where(ids=self._orphans, states=(State.WAITING,)), limit=len(self._orphans))
            if self._waiting:
                look(self._store, self._waiting)
        except StoreError as error:
            _log.warning("upkeep looks after %d jobs that wait: %s", len(self._waiting), error)


class Plan:
    """In which order the jobs of a bulk are stored.

    A parent is stored before its children: one that is not stored counts as ended. What is called at a job's end is
    stored before the job: so nobody can end it and miss a call. Where a parent's unique key may be another's, its
    children are stored in a later wave, when it is known which job stands for the parent.

    Args:
        given: the calls as others name them as their parents.

    Raises:
        InvalidValue: a parent is not of this bulk, or calls are each other's parents.
    """

    def __init__(self, calls: Sequence[Call[Any]], jobs: Sequence[NewJob], given: Sequence[Call[Any]]) -> None:
        self._calls = calls
        self._jobs = jobs
        self._at: dict[int, int] = {id(call): place for place, call in enumerate(given)}
        self._names = {job.id: place for place, job in enumerate(jobs)}
        self._parents = [self._parents_of(call) for call in calls]

    def waves(self) -> Iterator[list[int]]:
        """The places of the calls that are stored together, parents first, wave after wave."""
        wave_of: dict[int, int] = {}
        for place in self._sorted():
            earlier = [wave_of[parent] + self._is_unsure(parent) for parent in self._inner(place)]
            wave_of[place] = max(earlier, default=0)
        for number in range(max(wave_of.values(), default=-1) + 1):
            yield [place for place, wave in wave_of.items() if wave == number]

    def parents_within(self, place: int) -> list[int]:
        """The places of those parents of a call that are calls of this bulk."""
        return list(self._inner(place))

    def job(self, place: int, stored: Mapping[int, str]) -> NewJob:
        """The job of a call, tied to those that are stored for its parents."""
        bonds = self._calls[place].options.bonds
        if bonds is None:
            return self._jobs[place]
        parents = [
            stored.get(parent, self._jobs[parent].id) if isinstance(parent, int) else parent
            for parent in self._parents[place]
        ]
        return replace(
            self._jobs[place],
            waiting=bool(parents),
            parents=tuple(dict.fromkeys(parents)),
            lax=bonds.lax,
            if_parent_fails=bonds.if_parent_fails,
            key=bonds.key,
            turns=bonds.turns,
            group=bonds.group,
        )

    def _parents_of(self, call: Call[Any]) -> list[int | str]:
        found: list[int | str] = []
        for parent in (call.options.bonds or _NO_BONDS).after:
            if isinstance(parent, Call):
                if id(parent) not in self._at:
                    raise InvalidValue(
                        f"expected the parents of {call!r} to be jobs, ids, or calls of the same bulk; {parent!r} is "
                        "a call that is not in it: give it to the same enqueue_many, or enqueue it first"
                    )
                found.append(self._at[id(parent)])
                continue
            name = parent if isinstance(parent, str) else getattr(parent, "id", None)
            if not isinstance(name, str):
                raise InvalidValue(f"a parent must be a job, its id, or a call of the same bulk; it is {parent!r}")
            check_text(name, "a parent's id")
            found.append(self._names.get(name, name))
        return found

    def _inner(self, place: int) -> Iterator[int]:
        return (parent for parent in self._parents[place] if isinstance(parent, int))

    def _is_unsure(self, place: int) -> bool:
        return self._calls[place].slot is not None

    def _sorted(self) -> list[int]:
        """All places, parents before their children, otherwise in the order given."""
        done: dict[int, None] = {}
        for start in range(len(self._calls)):
            path = [(start, self._inner(start))]
            on_path = {start}
            while path:
                place, parents = path[-1]
                parent = next((one for one in parents if one not in done), None)
                if parent is None:
                    done[place] = None
                    on_path.discard(place)
                    path.pop()
                elif parent in on_path:
                    raise InvalidValue(
                        f"expected parents that can end before their children; {self._calls[parent]!r} with id "
                        f"{self._jobs[parent].id} waits for itself, by way of the calls it names: take one out"
                    )
                else:
                    path.append((parent, self._inner(parent)))
                    on_path.add(parent)
        return list(done)


def check_bonds(calls: Sequence[Call[Any]], jobs: Sequence[NewJob]) -> None:
    """Refuses calls that cannot be tied as they ask for; see `Plan` and `callbacks_of`.

    Raises:
        InvalidValue: they cannot.
    """
    list(Plan(calls, jobs, calls).waves())
    for call, job in zip(calls, jobs, strict=True):
        callbacks_of(call, job)


def check_alone(call: Call[Any]) -> None:
    """Refuses a call that is to be stored by itself and names other calls as parents.

    Raises:
        InvalidValue: it does.
    """
    if call.options.bonds is not None and any(isinstance(parent, Call) for parent in call.options.bonds.after):
        raise InvalidValue(
            f"{call!r} names calls as parents, so it must be stored together with them: give all to enqueue_many"
        )


def chained(calls: Sequence[Call[Any]]) -> list[Call[Any]]:
    """The same calls, each with the one before it as another parent."""
    links: list[Call[Any]] = []
    for call in calls:
        bonds = call.options.bonds or _NO_BONDS
        if links:
            bonds = replace(bonds, after=(*bonds.after, links[-1]))
        links.append(replace(call, options=replace(call.options, bonds=bonds)))
    return links


def callbacks_of(call: Call[Any], job: NewJob) -> list[NewJob]:
    """The jobs that are called at a job's end, and those at theirs; each before the one whose end it waits for.

    Raises:
        InvalidValue: an option of a call makes no sense there.
    """
    bonds = call.options.bonds
    found: list[NewJob] = []
    for name, (lax, if_parent_fails) in _CALLBACKS.items():
        then: Call[Any] | None = getattr(bonds, name, None)
        if then is None:
            continue
        own = then.options.bonds or _NO_BONDS
        if then.slot or then.options.id or own.after or own.key is not None:
            raise InvalidValue(
                f"{name} of {call!r} waits for this one job alone: it can have neither id, unique, key nor after"
            )
        called = replace(
            new_job(then, _id_of(job.id, name), digest_of(then)),
            waiting=True,
            parents=(job.id,),
            lax=lax,
            if_parent_fails=if_parent_fails,
            group=own.group,
        )
        found += [*callbacks_of(then, called), called]
    return found


def released_already(store: Guard, jobs: Sequence[NewJob]) -> list[NewJob]:
    """The same jobs, those that would wait for parents which have all ended made to run at once.

    For inserts within a transaction, after whose commit nobody looks. A parent that is not found may be one that the
    transaction itself has stored: for that it waits.
    """
    parents = list(dict.fromkeys(parent for job in jobs if job.waiting for parent in job.parents))
    states: dict[str, State | None] = {}
    for start in range(0, len(parents), 500):
        some = tuple(parents[start : start + 500])
        states |= {job.id: job.state for job in store.select(Where(ids=some), limit=len(some), body=False).jobs}
    return [replace(job, waiting=False) if _may_run(job, states) else job for job in jobs]


def _may_run(job: NewJob, states: Mapping[str, State | None]) -> bool:
    if not job.waiting or any(parent not in states for parent in job.parents):
        return False
    return fate_of(job, states) is Fate.RUN


def _id_of(parent: str, name: str) -> str:
    identity = f"{parent}:{name}"
    if len(identity.encode()) <= MAX_TEXT_BYTES:
        return identity
    return f"{blake2b(parent.encode(), digest_size=20).hexdigest()}:{name}"
