"""The handle of a job that was fetched by hand."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from msgspec.structs import replace

from longshore.application import Application
from longshore.completing.finishing import finished
from longshore.contract import Change, State, StoredJob
from longshore.errors import IllegalMove
from longshore.fetching.hold import Hold
from longshore.hooks.calling import finish
from longshore.hooks.payloads import deserialized
from longshore.states import RELEASE, START, STOP, UNRESERVE, Event, move
from longshore.worker.performing import failed
from longshore.worker.reactions import react


class FailedByHand(Exception):
    """What stands for an error that was told in words."""


class FetchedJob:
    """A job that is reserved for whoever fetched it, until it is settled, or until nobody has this handle any more.

    ``with job:`` starts it, and finishes it at the end of the block, or fails it by the exception that leaves the
    block, unless it was settled inside. Every method raises `longshore.errors.LeaseLost` when the job is not held here
    any more, and `longshore.errors.Unavailable` when the store does not answer; the call may then be repeated.
    """

    def __init__(self, app: Application, hold: Hold, job: StoredJob) -> None:
        self._app = app
        self._hold = hold
        self._job = job
        self._is_settled = False
        self._dropped = weakref.finalize(self, hold.drop, job.id, job.generation)
        self._dropped.atexit = False  # At the end of the process the hold hands back all that is left.

    def __repr__(self) -> str:
        return f"<FetchedJob {self.id} of {self.task}>"

    def __enter__(self) -> Self:
        if self._job.state is State.RESERVED:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_settled:
            return
        if error is None:
            self.finish()
        elif isinstance(error, Exception):
            self.fail(error)
        else:
            self.release()

    @property
    def id(self) -> str:
        return self._job.id

    @property
    def task(self) -> str:
        return self._job.task

    @property
    def queue(self) -> str:
        return self._job.queue

    @property
    def attempt(self) -> int:
        """Which attempt it is in; before it is started, how many there were."""
        return self._job.attempt

    @property
    def max_attempts(self) -> int | None:
        return self._job.max_attempts

    @property
    def notes(self) -> Mapping[str, Any]:
        return self._job.notes

    def arguments(self) -> Mapping[str, Any]:
        """The arguments that were given, by name: as annotated if the task is registered here, else JSON values.

        Raises:
            InvalidValue: they do not fit the task's signature.
        """
        job = finish(deserialized(self._app.hooks, self._job))
        task = self._app.tasks.get(self.task)
        if task is not None:
            return task.arguments.named(job.payload, job.codec)
        values: Mapping[str, Any] = self._app.result_codec(self.task).decode(job.payload, job.codec)
        return values

    def _readable(self) -> StoredJob:
        """With the bytes that tell what of an error is secret, if they can be had."""
        try:
            return finish(deserialized(self._app.hooks, self._job))
        except Exception:  # noqa: BLE001 - a hook may raise anything, and nobody can have seen what it did not give
            return self._job

    def start(self) -> None:
        """Begins the job: it is running, and an attempt is used."""
        self._hold.apply(move(START, self._job))
        self._job = replace(self._job, state=State.RUNNING, attempt=self._job.attempt + 1)

    def finish(self, result: Any = None) -> None:
        """Ends the job with success; whoever waits for its result gets this one.

        Raises:
            InvalidValue, TooLarge: the result cannot be stored; the job is held as before.
        """
        self._check_open()
        self._apply(finished(self._job, result, self._app.result_codec(self.task), self._app.store.max_payload))

    def fail(self, error: BaseException | str) -> None:
        """Ends the attempt with an error: the job runs again by its task's retry policy, or has failed.

        ``Discard``, ``RetryIn`` and ``Snooze`` mean what they mean when a task raises them. A job that was not started
        is started first, since only an attempt can fail.
        """
        self._check_open()
        if self._job.state is State.RESERVED:
            self.start()
        cause = FailedByHand(error) if isinstance(error, str) else error
        self._apply(failed(self._app, self._readable(), cause))

    def release(self) -> None:
        """Hands the job back to its old place; no attempt is used up."""
        self._settle(UNRESERVE if self._job.state is State.RESERVED else RELEASE)

    def cancel(self) -> None:
        """Ends the job as cancelled."""
        self._settle(STOP)

    def touch(self) -> bool:
        """Renews the lease now, and tells whether to go on: False once somebody asked to cancel the job.

        The lease is kept by itself all the time; this is how a long loop learns that it may stop.
        """
        self._check_open()
        return not self._hold.look(self._job).cancel_asked

    def _settle(self, event: Event) -> None:
        self._check_open()
        self._apply(move(event, self._job))

    def _apply(self, change: Change) -> None:
        answer = self._hold.apply(change)
        self._settled()
        if answer.state is change.to:  # Else somebody asked to cancel it first.
            react(self._app, self._job, change)

    def _check_open(self) -> None:
        if self._is_settled:
            raise IllegalMove(f"job {self.id} was settled here before: a job is settled once")

    def _settled(self) -> None:
        self._is_settled = True
        self._dropped.detach()
