"""One run, as it tells things."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from longshore.contract import HELD, Change, Fields, Outcome, StoredJob
from longshore.errors import LeaseLost
from longshore.guard import Guard
from longshore.telling.stored import run_prefix

if TYPE_CHECKING:
    from longshore.telling.post import Post

NEVER: Final = float("inf")


class Voice:
    """One run of a job, as it tells things. Its methods may be called by any thread; its attributes are the post's.

    Attributes:
        kept: what was said, and not yet asked to be stored.
        sent: what was asked to be stored, and not yet answered.
        due: when what is kept is to be stored, by the process's own clock.
        looked: when the store last said that the run holds its job.
        awaited: whether somebody waited for it then.
        number: of the last reply.
        renew_at: when its replies are to be written again, so that they do not lapse while it is on.
        is_void: whether it was found not to hold its job any more.
        is_over: whether nothing more of it is to be stored.
    """

    def __init__(self, post: Post, job: StoredJob) -> None:
        self.job = job
        self.prefix = run_prefix(job.id, job.generation)
        self.kept: Fields = {}
        self.sent: Fields = {}
        self.due = NEVER
        self.looked = -NEVER
        self.awaited = job.awaited
        self.number = 0
        self.renew_at = NEVER
        self.is_void = False
        self.is_over = False
        self._post = post

    def reply(self, value: bytes) -> Future[None]:
        """Stores a reply; done when it is stored."""
        return self._post.take(self, reply=value)

    def save(self, fields: Fields) -> Future[None]:
        """Stores fields of the job; done when they are stored."""
        return self._post.take(self, fields=fields)

    def save_within(self, fields: Fields, store: Guard, tx: Any) -> None:
        """Stores fields of the job in the application's transaction.

        Raises:
            LeaseLost: the run does not hold its job any more.
            Unsupported: the store has no transactions.
        """
        if store.update([self.change(fields)], tx=tx)[0].outcome is not Outcome.MOVED:
            raise self.lost()

    def keep(self, fields: Fields) -> None:
        """Stores fields of the job within about a second, or with the run's end."""
        self._post.keep(self, fields)

    def unsaid(self) -> Fields:
        """All that was said and may not be stored: to go with the change that ends the run."""
        return self._post.unsaid(self)

    def end(self) -> None:
        """The run is over: what is unsaid goes with its end."""
        self._post.leave(self)

    def is_awake(self) -> bool:
        """Whether the post has something to do for it at some time."""
        return min(self.due, self.renew_at) < NEVER

    def change(self, fields: Fields) -> Change:
        """A change of the job that is refused unless this very run holds it; without fields, a look whether it does."""
        return Change(self.job.id, None, fields, HELD, self.job.generation, self.job.holder)

    def lost(self) -> LeaseLost:
        """Why nothing more can be told."""
        return LeaseLost(
            f"this run of job {self.job.id} does not hold it any more: the job was completed, rescued, retried or "
            "removed, and what the run tells is not stored"
        )
