"""What a running task can know of its job."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from longshore.app import Longshore
    from longshore.contract import StoredJob


class Context:
    """The run that a task is in; a task that wants it names it as its first parameter's type.

    Attributes:
        app: the application.
        job_id: the job's id.
        attempt: which attempt this is, 1 for the first.
        max_attempts: how many there may be; None for no limit.
    """

    __slots__ = ("_job", "app")
    is_context: ClassVar[bool] = True

    def __init__(self, app: Longshore, job: StoredJob) -> None:
        self.app = app
        self._job = job

    @property
    def job_id(self) -> str:
        return self._job.id

    @property
    def task(self) -> str:
        return self._job.task

    @property
    def queue(self) -> str:
        return self._job.queue

    @property
    def attempt(self) -> int:
        return self._job.attempt

    @property
    def max_attempts(self) -> int | None:
        return self._job.max_attempts

    @property
    def crashes(self) -> int:
        """How often a worker died while it ran this job."""
        return self._job.crashes
