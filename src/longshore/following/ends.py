"""Ends from which something may follow."""

from __future__ import annotations

from msgspec import Struct

from longshore.contract import ENDED, Answer, Outcome, State, StoredJob


class Ended(Struct, frozen=True, gc=False):
    """A job that has ended or is gone, and by what others may have waited for it."""

    id: str
    state: State | None  # None: it was removed.
    releases: bool = False
    group: str | None = None
    key: str | None = None
    turn: int | None = None  # Which turn of its key it has left, if that is known.

    @property
    def may_have_children(self) -> bool:
        """Whether it is worth a look. Of a removed job no flag can tell."""
        return self.releases or self.state is None


def ended(before: StoredJob, answer: Answer) -> Ended | None:
    """The end that a change of a job has made, as the store answered it; None where nothing follows from it.

    Args:
        before: the job as it stood before the change.
    """
    if not (answer.releases or before.group is not None or before.key is not None):
        return None
    if answer.state not in ENDED or answer.outcome not in (Outcome.MOVED, Outcome.REPEATED):
        return None
    # A job that waited held no turn, and so the flag tells nothing of those of its key that stand behind it.
    stood_in_line = before.key is not None and before.state is State.WAITING
    if not (answer.releases or before.group is not None or stood_in_line):
        return None
    key = before.key if answer.releases or stood_in_line else None
    return Ended(before.id, answer.state, answer.releases, before.group, key, before.turn)


def removed(job: StoredJob) -> Ended:
    """The end of a job that was removed as it stood."""
    unended = job.state not in ENDED
    return Ended(job.id, None, False, job.group if unended else None, job.key if unended else None, job.turn)


def found_ended(job: StoredJob) -> Ended:
    """The end of a job that somebody else has made, as it is found afterwards."""
    return Ended(job.id, job.state, job.releases, job.group, job.key if job.releases else None)
