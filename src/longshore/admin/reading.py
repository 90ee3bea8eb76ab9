"""What operators look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeVar

from msgspec import Struct

from longshore.admin.telling import shown_replies
from longshore.admin.values import Failure, FailurePage, HeldJob, Stats, Unserved, WorkerInfo
from longshore.application import Application
from longshore.contract import HELD, By, Duration, Order, Record, State, StoredJob, Where
from longshore.durations import Seconds, instant, microseconds, moment, moment_or_none
from longshore.errors import InvalidValue
from longshore.guard import Guard
from longshore.history import Hour, last_hours
from longshore.holders import KIND as HOLDER
from longshore.holders import HolderRecord, holder_of, mark_in, worker_of
from longshore.info import JobInfo, attempt_of, info_of
from longshore.limits.pauses import paused
from longshore.locks import shown_locks
from longshore.schedules import count_schedules
from longshore.tasks import shown_call, shown_result
from longshore.totals import first_use, removed

T = TypeVar("T")
Several = str | Iterable[str]
ENQUEUED_AGAIN: Final = "longshore.enqueued_again"
"""The note of a failed job that names the one that was enqueued in its place."""
STUCK: Final = 2 * 86_400.0
_UNANSWERED: Final = (State.FAILED, State.ABANDONED)
_PAGE: Final = 1_000
_MOST_DUE: Final = 10_000


class JobPage(Struct, frozen=True):
    """Some of the jobs that were asked for; ``after`` asks for the next page, None: this was the last."""

    jobs: tuple[JobInfo, ...]
    after: str | None = None


class Reading:
    """Reads; changes nothing. Every answer is a frozen value, as it was when it was read."""

    def __init__(self, app: Application) -> None:
        self._app = app

    @property
    def _store(self) -> Guard:
        return self._app.store

    def job(self, identity: str) -> JobInfo | None:
        """One job with its attempts; None: there is none."""
        job = self._stored(identity)
        return None if job is None else info_of(job, self._store.now())

    def call(self, identity: str) -> str | None:
        """The call that a job makes, as people may see it; None: there is no such job.

        Secret arguments are hidden; all are, where the job's task is not registered and nobody knows which are secret.
        """
        job = self._stored(identity)
        return None if job is None else shown_call(self._app.tasks, job)

    def result(self, identity: str) -> str | None:
        """What a job returned, as people may see it; None: nothing, or it has not succeeded, or there is none.

        What secret arguments hold is hidden; all is, where the job's task is not registered.
        """
        job = self._stored(identity)
        return None if job is None else shown_result(self._app.tasks, job)

    def replies(self, identity: str) -> tuple[str, ...] | None:
        """What a job's last run has said, as people may see it: its last 100 replies; None: there is no such job.

        What secret arguments hold is hidden; all is, where the job's task is not registered.
        """
        job = self._stored(identity)
        return None if job is None else shown_replies(self._app, job)

    def jobs(
        self,
        *,
        ids: Several | None = None,
        queues: Several | None = None,
        tasks: Several | None = None,
        states: State | Iterable[State] | None = None,
        notes: Mapping[str, Any] | None = None,
        groups: Several | None = None,
        keys: Several | None = None,
        parents: Several | None = None,
        since: Seconds | datetime | None = None,
        oldest_first: bool = False,
        limit: int = 100,
        after: str | None = None,
    ) -> JobPage:
        """A page of jobs for which all that is given holds, without their attempts, newest first.

        Args:
            ids: of these ids.
            queues: in these queues.
            tasks: of these tasks.
            states: in these states.
            notes: with each of these notes; texts, integers and booleans can be asked for.
            groups: members of these groups.
            keys: in the lines of these keys.
            parents: that wait for these jobs, or waited.
            since: held now, or created or ended so long ago or less, or since that moment.
            oldest_first: in the order in which they were created.
            limit: how many at most; a page may be shorter.
            after: of the page before. It stays good while jobs come and go.
        """
        where = self._where(
            ids=ids, queues=queues, tasks=tasks, states=states, notes=notes, groups=groups, keys=keys, parents=parents,
            since=since,
        )  # fmt: skip
        return self._page(where, oldest_first=oldest_first, limit=limit, after=after)

    def every(
        self,
        *,
        ids: Several | None = None,
        queues: Several | None = None,
        tasks: Several | None = None,
        states: State | Iterable[State] | None = None,
        notes: Mapping[str, Any] | None = None,
        groups: Several | None = None,
        keys: Several | None = None,
        parents: Several | None = None,
        since: Seconds | datetime | None = None,
    ) -> Iterator[JobInfo]:
        """All jobs for which all that is given holds, newest first, read page by page as they are wanted."""
        where = self._where(
            ids=ids, queues=queues, tasks=tasks, states=states, notes=notes, groups=groups, keys=keys, parents=parents,
            since=since,
        )  # fmt: skip
        now = self._store.now()
        return (info_of(job, now) for job in self._store.each(where, body=False))

    def changes(self, since: Seconds | datetime = 60.0, *, limit: int = 100, after: str | None = None) -> JobPage:
        """What moved lately: jobs that are held now, and those that were created or ended so long ago or less."""
        return self._page(self._where(since=since), limit=limit, after=after)

    def stuck(self, overdue: Seconds = STUCK, *, limit: int = 100, after: str | None = None) -> JobPage:
        """Jobs that have been due for so long, two days if nothing is said, and that nobody has taken.

        Those that wait for others to end are not among them.
        """
        where = Where(states=(State.PENDING,), due=microseconds(overdue, name="overdue"))
        return self._page(where, oldest_first=True, limit=limit, after=after)

    def failures(
        self,
        *,
        queues: Several | None = None,
        tasks: Several | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> FailurePage:
        """A page of the jobs that failed or were abandoned, newest first, with what their last attempt said."""
        where = self._where(queues=queues, tasks=tasks, states=_UNANSWERED)
        page = self._store.select(where, limit=_checked(limit), after=after)
        return FailurePage(tuple(map(_failure, page.jobs)), page.after)

    def counts(self) -> dict[str, dict[State, int]]:
        """How many jobs there are in each state, by queue; a queue without jobs is not there."""
        counts: dict[str, dict[State, int]] = {}
        for (queue, state), number in sorted(self._store.count(By.QUEUE_STATE).items()):
            counts.setdefault(queue, dict.fromkeys(State, 0))[State(state)] = number
        return counts

    def stats(self, *, scheduled: bool = True) -> Stats:
        """How many jobs there are of each state, how many there ever were, workers, locks and schedules.

        Args:
            scheduled: whether to count what is pending and not due yet, which takes longer than the rest.
        """
        states = dict.fromkeys(State, 0)
        for (_, state), number in self._store.count(By.QUEUE_STATE).items():
            states[State(state)] += number
        living = {worker_of(record.key) for record, _ in self._holders()}
        busy = {worker_of(str(holder)) for (holder,) in self._store.count(By.HOLDER)} & living
        ticking, resting = count_schedules(self._store)
        return Stats(
            **{state.name.lower(): number for state, number in states.items()},
            enqueued=sum(states.values()) + removed(self._store),
            since=moment_or_none(first_use(self._store)),
            scheduled=self._scheduled(states[State.PENDING]) if scheduled else None,
            workers=len(living),
            busy_workers=len(busy),
            idle_workers=len(living) - len(busy),
            locks=len(shown_locks(self._store)),
            schedules=ticking,
            paused_schedules=resting,
        )

    def history(self) -> tuple[Hour, ...]:
        """What workers did in each of the last 24 hours of the clock, oldest first, also of jobs that are gone.

        The last is the hour that is not over. Workers write it at each heartbeat.
        """
        return last_hours(self._store)

    def workers(self) -> tuple[WorkerInfo, ...]:
        """The processes that run jobs, with what they hold, and those that died and still hold some; by name."""
        held: dict[str, list[HeldJob]] = {}
        for job in self._store.each(Where(states=tuple(HELD)), body=False):
            held.setdefault(job.holder or "", []).append(_held(job))
        living = {record.key: (record, about) for record, about in self._holders()}
        still = frozenset(each.queue for each in paused(self._store))
        leases: dict[str, list[str]] = {}
        for holder in sorted({*living, *held}):
            # One that works at several stores has a lease in each.
            leases.setdefault(worker_of(holder) if mark_in(holder) else holder, []).append(holder)
        return tuple(
            _worker(
                name,
                max((living[holder] for holder in holders if holder in living), key=_lapses, default=None),
                tuple(job for holder in holders for job in held.get(holder, ())),
                still,
            )
            for name, holders in sorted(leases.items())
        )

    def unserved(self) -> tuple[Unserved, ...]:
        """Jobs that nobody takes: no living worker serves their queue and knows their task."""
        living = [about for _, about in self._holders()]
        known = {task for about in living for task in about.tasks}
        served = {(queue, task) for about in living for queue in about.queues for task in about.tasks}
        counted: dict[tuple[str, str], int] = {}
        waiting = Where(states=(State.WAITING, State.PENDING))
        for (queue, task, _), number in self._store.count(By.QUEUE_TASK_STATE, waiting).items():
            counted[queue, task] = counted.get((queue, task), 0) + number
        return tuple(
            Unserved(queue=queue, task=task, jobs=number, known=task in known)
            for (queue, task), number in sorted(counted.items())
            if (queue, task) not in served
        )

    def _stored(self, identity: str) -> StoredJob | None:
        return next(self._store.each(Where(ids=(identity,))), None)

    def _page(self, where: Where, *, oldest_first: bool = False, limit: int, after: str | None) -> JobPage:
        order = Order.OLDEST if oldest_first else Order.NEWEST
        page = self._store.select(where, order=order, limit=_checked(limit), after=after, body=False)
        now = self._store.now()
        return JobPage(tuple(info_of(job, now) for job in page.jobs), page.after)

    def _where(
        self,
        *,
        ids: Several | None = None,
        queues: Several | None = None,
        tasks: Several | None = None,
        states: State | Iterable[State] | None = None,
        notes: Mapping[str, Any] | None = None,
        groups: Several | None = None,
        keys: Several | None = None,
        parents: Several | None = None,
        since: Seconds | datetime | None = None,
    ) -> Where:
        return Where(
            ids=texts(ids),
            queues=texts(queues),
            tasks=texts(tasks),
            states=(states,) if isinstance(states, State) else None if states is None else tuple(states),
            notes=notes,
            groups=texts(groups),
            keys=texts(keys),
            parents=texts(parents),
            changed=None if since is None else self._ago(since),
        )

    def _ago(self, since: Seconds | datetime) -> Duration:
        if isinstance(since, datetime):
            return max(0, self._store.now() - instant(since, name="since"))
        return microseconds(since, name="since")

    def _scheduled(self, pending: int) -> int | None:
        due = Where(states=(State.PENDING,), due=0)
        counted = sum(1 for _ in islice(self._store.each(due, body=False), _MOST_DUE)) if pending else 0
        return max(0, pending - counted) if counted < _MOST_DUE else None

    def _holders(self) -> Iterator[tuple[Record, HolderRecord]]:
        after: str | None = None
        while page := self._store.read(HOLDER, limit=_PAGE, after=after):
            for record in page:
                about = holder_of(record)
                if about is not None and about.rescued_by is None:
                    yield record, about
            after = page[-1].key


def texts(given: Several | None) -> tuple[str, ...] | None:
    """One text or several, as a tuple."""
    return None if given is None else (given,) if isinstance(given, str) else tuple(given)


def _checked(limit: int) -> int:
    if not 1 <= limit <= _PAGE:
        raise InvalidValue(f"limit must be between 1 and {_PAGE:,}; it is {limit}")
    return limit


def _failure(job: StoredJob) -> Failure:
    last = attempt_of(job.attempts[-1]) if job.attempts else None
    again = job.notes.get(ENQUEUED_AGAIN)
    return Failure(
        id=job.id,
        task=job.task,
        queue=job.queue,
        state=job.state,
        attempt=job.attempt,
        crashes=job.crashes,
        created=moment(job.created),
        ended=moment_or_none(job.ended),
        error=last.error if last else None,
        traceback=last.traceback or None if last else None,
        enqueued_again=again if isinstance(again, str) else None,
    )


def _held(job: StoredJob) -> HeldJob:
    started = moment_or_none(job.started)
    return HeldJob(
        id=job.id, task=job.task, queue=job.queue, state=job.state, started=started, cancelling=job.cancel_asked
    )


def _lapses(living: tuple[Record, HolderRecord]) -> int:
    return living[0].expires or 0


def _worker(
    name: str, living: tuple[Record, HolderRecord] | None, holds: tuple[HeldJob, ...], still: frozenset[str]
) -> WorkerInfo:
    record, about = living or (None, None)
    return WorkerInfo(
        name=name,
        alive=living is not None,
        lease_until=moment_or_none(record.expires) if record else None,
        host=about.host if about else None,
        pid=about.pid if about else None,
        beats=about.beat if about else 0,
        queues=about.queues if about else (),
        paused=tuple(queue for queue in about.queues if queue in still) if about else (),
        tasks=about.tasks if about else (),
        slots=about.slots if about else 0,
        release=about.release if about else "",
        status=about.status if about else "",
        holds=holds,
    )
