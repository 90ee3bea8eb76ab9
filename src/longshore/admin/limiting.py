"""How operators limit and pause queues and tasks, for all workers at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from longshore.admin.acting import Acting
from longshore.admin.reading import Several, texts
from longshore.contract import State
from longshore.durations import Seconds
from longshore.limits import pauses
from longshore.limits.pauses import PausedQueue
from longshore.limits.stored import Limit, Rule, read_limits, remove_limit, rule_of, set_limit, shown, subject_of


class QueueInfo(Struct, frozen=True, kw_only=True):
    """A queue that has jobs, is paused, or limited."""

    name: str
    jobs: Mapping[State, int]
    """How many are in each state."""
    paused: datetime | None
    """Since when nothing of it begins; None: it is not paused."""
    limit: Limit | None


class Limiting(Acting):
    """Limits and pauses. They last until somebody changes them, and are in force on every worker within milliseconds:
    within one heartbeat on a worker that a wake-up does not reach."""

    def limit(
        self,
        *,
        queue: str | None = None,
        task: str | None = None,
        running: int | None = None,
        rate: tuple[int, Seconds] | None = None,
        burst: int | None = None,
    ) -> None:
        """Limits a queue or a task in all processes together; a limit that it had is replaced.

        Never more run than allowed whose worker is alive. What runs now goes on; nothing begins until there is room.

        Args:
            queue, task: one of both.
            running: so many run at a time; 0: none begins.
            rate: so many begin in so long: ``(100, 60)`` is a hundred in a minute, after each other.
            burst: so many of the rate may begin at once, when there was nothing for a while; a tenth of it by default.
                In any period at most rate and burst together begin.

        Raises:
            InvalidValue: a number is not of the form that is needed.
        """
        set_limit(self._store, subject_of(queue, task), rule_of(running, rate, burst))

    def remove_limit(self, *, queue: str | None = None, task: str | None = None) -> bool:
        """Lifts the limit of a queue or a task; tells whether it had one."""
        return remove_limit(self._store, subject_of(queue, task))

    def limits(self) -> tuple[Limit, ...]:
        """All limits: first those of queues, then those of tasks, by name."""
        return tuple(shown(limit) for limit in read_limits(self._store) if limit.stored.rule != Rule())

    def pause_queue(self, queues: Several) -> tuple[str, ...]:
        """Pauses queues until they are resumed: nothing of theirs begins, what runs goes on.

        Gives those that were not paused before.
        """
        names = texts(queues) or ()
        fresh = zip(names, pauses.pause(self._store, names), strict=True)
        return tuple(name for name, was_running in fresh if was_running)

    def resume_queue(self, queues: Several) -> tuple[str, ...]:
        """Resumes queues; gives those that were paused."""
        names = texts(queues) or ()
        return tuple(
            name for name, was_paused in zip(names, pauses.resume(self._store, names), strict=True) if was_paused
        )

    def paused_queues(self) -> tuple[PausedQueue, ...]:
        """The queues that are paused, and since when."""
        return tuple(pauses.paused(self._store))

    def queues(self) -> tuple[QueueInfo, ...]:
        """The queues that have jobs, are paused or limited, by name."""
        counts, still = self.counts(), {each.queue: each.since for each in self.paused_queues()}
        limits = {limit.queue: limit for limit in self.limits() if limit.queue is not None}
        return tuple(
            QueueInfo(
                name=name,
                jobs=counts.get(name) or dict.fromkeys(State, 0),
                paused=still.get(name),
                limit=limits.get(name),
            )
            for name in sorted({*counts, *still, *limits})
        )
