"""Inserting into several stores: each its own, and what another may take is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from longshore.contract import Inserted, Insertion, NewJob, StoredJob
from longshore.errors import StoreError, StoreFull, Unavailable
from longshore_multi.homes import Homes
from longshore_multi.part import Part

Job = NewJob | StoredJob


def insert(parts: Mapping[str, Part], homes: Homes, jobs: Sequence[Job]) -> list[Inserted]:
    """Stores each job in its home, and answers each: a restored one that would hold a unique key away from the home of
    that key, HELD.

    Raises:
        InvalidValue: the names of one have not one home; nothing was stored.
        Unavailable: a store did not answer; the others have theirs. ``elsewhere`` has the jobs that another would take.
    """
    places: dict[str, list[int]] = {}
    answers: dict[int, Inserted] = {}
    for place, job in enumerate(jobs):
        home = homes.of_job(job)
        if isinstance(job, StoredJob) and job.unique_held and homes.of(job.unique_key or "") != home:
            # Nobody who looks for the key would find it there.
            answers[place] = Inserted(Insertion.HELD, job.state, held_by=job.id)
        else:
            places.setdefault(home, []).append(place)
    failures: dict[str, StoreError] = {}
    for tag, of_part in places.items():
        try:
            stored = parts[tag].insert([jobs[place] for place in of_part])
        except (StoreFull, Unavailable) as error:
            failures[tag] = error
        else:
            answers.update(zip(of_part, stored, strict=True))
    if failures:
        homeless = {tag: [jobs[place] for place in places[tag]] for tag in failures}
        raise _failure(parts, homes, failures, homeless, is_whole=len(failures) == len(places))
    return [answers[place] for place in range(len(jobs))]


def _failure(
    parts: Mapping[str, Part],
    homes: Homes,
    failures: Mapping[str, StoreError],
    jobs: Mapping[str, Sequence[Job]],
    *,
    is_whole: bool,
) -> StoreError:
    first = next(iter(failures.values()))
    # Of what certainly failed everywhere nothing is stored; that one has no room is known as well.
    certain = [tag for tag, error in failures.items() if not (isinstance(error, Unavailable) and error.unknown)]
    elsewhere: set[str] = set()
    if any(not part.rests for tag, part in parts.items() if tag not in failures):
        elsewhere = set(chain.from_iterable(_movable(homes, jobs[tag]) for tag in certain))
    if not elsewhere and is_whole and len(failures) == 1:
        return _named(first, homes, next(iter(jobs.values())))
    unknown = not is_whole or len(certain) < len(failures)
    return Unavailable("; ".join(str(error) for error in failures.values()), unknown=unknown, elsewhere=elsewhere)


def _movable(homes: Homes, jobs: Sequence[Job]) -> set[str]:
    """The ids of those that nothing binds to this store; parents and children stay, or go, together."""
    free = {job.id for job in jobs if not homes.is_bound(job)}
    while True:
        stays = {job.id for job in jobs if job.id not in free or not free.issuperset(job.parents)}
        stays.update(parent for job in jobs if job.id in stays for parent in job.parents)
        if free.isdisjoint(stays):
            return free
        free -= stays


def _named(error: StoreError, homes: Homes, jobs: Sequence[Job]) -> StoreError:
    """The same error, and which job is bound to that store."""
    bound = next((job for job in jobs if homes.is_bound(job)), None)
    if bound is None or not isinstance(error, Unavailable):
        return error
    return Unavailable(
        f"{error}; what has a name, such as the job {bound.id!r} of {bound.task}, lives there and nowhere else: it can "
        "be stored when that store is back",
        unknown=error.unknown,
    )
