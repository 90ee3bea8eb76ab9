"""The seam between an application and what works for it: what handles, runs and workers need of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from longshore.calls.call import Call
from longshore.chores import Chore
from longshore.codecs import TypedCodec
from longshore.guard import Guard
from longshore.hooks import Hooks
from longshore.jobs import Job
from longshore.limits.stored import Rule, Subject
from longshore.parents import Parent
from longshore.resources import Resources
from longshore.schedules.stored import Schedule
from longshore.tasks import Task
from longshore.telling import Post

if TYPE_CHECKING:
    from longshore.aio import Awaiting  # It brings an event loop's modules, which most processes never need.


class Application(Protocol):
    """What `longshore.Longshore` is to the modules below it."""

    @property
    def declared(self) -> Application:
        """The application as its modules have it."""

    @property
    def sides(self) -> Sequence[Application]:
        """The same at each store that its jobs are in: itself where there is one."""

    @property
    def moving_from(self) -> Any:
        """The store that it moves from, as it was given; None: it does not move."""

    @property
    def tasks(self) -> Mapping[str, Task[..., Any]]: ...

    @property
    def commands(self) -> Mapping[str, Callable[..., Any]]:
        """What workers can be told to do, by name."""

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """Those that it declares."""

    @property
    def chores(self) -> Mapping[str, Chore]:
        """What one of its workers does once in a while, by name."""

    @property
    def declared_limits(self) -> Mapping[Subject, Rule]:
        """What its code limits."""

    @property
    def store(self) -> Guard:
        """The store, for calls that are repeated while it is away."""

    @property
    def awaiting(self) -> Awaiting:
        """What is awaited of it in this process."""

    @property
    def resources(self) -> Resources:
        """What it gives to its tasks."""

    @property
    def hooks(self) -> Hooks:
        """What it adds to every job."""

    def another_store(self) -> Guard:
        """Another connection to it, whose calls are not repeated."""

    def parents_of(self, identities: Sequence[str]) -> list[Parent]:
        """How these jobs stand, and what they returned."""

    @property
    def post(self) -> Post:
        """What stores what its runs tell."""

    def telling_codec(self, task: str, kind: Any = None) -> TypedCodec[Any]:
        """How replies and cursors of a task are stored, and read."""

    def enqueue_many(self, calls: Iterable[Call[Any]], *, tx: Any = None) -> list[Job[Any]]:
        """Stores any number of jobs at once."""

    def admit(self, call: Call[Any]) -> Call[Any]:
        """The call as its hooks leave it."""

    def result_codec(self, task: str) -> TypedCodec[Any]:
        """How results of a task are stored, and read."""
