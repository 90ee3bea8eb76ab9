"""An application as the runs of one of its stores see it (docs/design/several-stores.md)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from longshore.application import Application
from longshore.calls.call import Call
from longshore.chores import Chore
from longshore.codecs import TypedCodec
from longshore.connection import Connection, PartConnection
from longshore.guard import Guard
from longshore.hooks import Hooks
from longshore.jobs import Job
from longshore.limits.stored import Rule, Subject
from longshore.parents import Parent, parents_of
from longshore.resources import Resources
from longshore.schedules.stored import Schedule
from longshore.tasks import Task
from longshore.telling import Post

if TYPE_CHECKING:
    from longshore.aio import Awaiting


class Side(ABC):
    """An application whose runs are settled in a store of their own; what they enqueue goes where the application's
    jobs go.

    Args:
        app: the application as its modules have it.
    """

    def __init__(self, app: Application) -> None:
        self._app = app

    @property
    def declared(self) -> Application:
        """The application as its modules have it."""
        return self._app

    @property
    def sides(self) -> Sequence[Application]:
        """It has no sides of its own."""
        return (self,)

    @property
    def moving_from(self) -> None:
        """Nothing."""
        return

    @property
    def tasks(self) -> Mapping[str, Task[..., Any]]:
        return self._app.tasks

    @property
    def commands(self) -> Mapping[str, Callable[..., Any]]:
        return self._app.commands

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """None: the application writes them once for all."""
        return {}

    @property
    def chores(self) -> Mapping[str, Chore]:
        """None, for the same reason."""
        return {}

    @property
    def declared_limits(self) -> Mapping[Subject, Rule]:
        """None, for the same reason."""
        return {}

    @property
    @abstractmethod
    def store(self) -> Guard:
        """The store that the runs are settled in."""

    @property
    @abstractmethod
    def post(self) -> Post:
        """What stores what they tell."""

    @property
    def awaiting(self) -> Awaiting:
        return self._app.awaiting

    @property
    def resources(self) -> Resources:
        return self._app.resources

    @property
    def hooks(self) -> Hooks:
        return self._app.hooks

    @abstractmethod
    def another_store(self) -> Guard:
        """Another connection to that store, whose calls are not repeated."""

    def parents_of(self, identities: Sequence[str]) -> list[Parent]:
        """How these jobs stand, wherever they are."""
        return parents_of(self._app.store, self.result_codec, identities)

    def telling_codec(self, task: str, kind: Any = None) -> TypedCodec[Any]:
        return self._app.telling_codec(task, kind)

    def enqueue_many(self, calls: Iterable[Call[Any]], *, tx: Any = None) -> list[Job[Any]]:
        """Stores jobs where the application's go. A transaction of this store says nothing there: at once."""
        return self._app.enqueue_many(calls)

    def admit(self, call: Call[Any]) -> Call[Any]:
        return self._app.admit(call)

    def result_codec(self, task: str) -> TypedCodec[Any]:
        return self._app.result_codec(task)


class PartSide(Side):
    """An application at one of several stores."""

    def __init__(self, app: Application, part: PartConnection) -> None:
        super().__init__(app)
        self._part = part

    @property
    def store(self) -> Guard:
        return self._part.store

    @property
    def post(self) -> Post:
        return self._part.post

    def another_store(self) -> Guard:
        return self._part.another_store()


def sides_of(app: Application, connection: Connection) -> list[Application]:
    """The application at each of the stores that its store is made of; itself where that is one."""
    return [PartSide(app, part) for part in connection.parts] or [app]
