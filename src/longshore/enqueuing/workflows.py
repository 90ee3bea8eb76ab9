"""The part of an application that ties jobs to each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from longshore.calls.call import Call
from longshore.codecs import TypedCodec
from longshore.enqueuing.bonding import chained
from longshore.enqueuing.grouping import Group
from longshore.guard import Guard
from longshore.ids import IdMaker
from longshore.jobs import Job
from longshore.parents import Parent, parents_of


class Workflows(ABC):
    """What makes chains and groups, and tells children of their parents."""

    @property
    @abstractmethod
    def store(self) -> Guard:
        """The store that the jobs are in."""

    @abstractmethod
    def enqueue_many(self, calls: Iterable[Call[Any]], *, tx: Any = None) -> list[Job[Any]]:
        """Stores any number of jobs at once."""

    @abstractmethod
    def admit(self, call: Call[Any]) -> Call[Any]:
        """The call as the application's hooks leave it."""

    @abstractmethod
    def job(self, identity: str) -> Job[Any]:
        """The handle of a job."""

    @abstractmethod
    def result_codec(self, task: str) -> TypedCodec[Any]:
        """How results of a task are read."""

    def chain(self, *calls: Call[Any], tx: Any = None) -> list[Job[Any]]:
        """Stores calls of which each runs when the one before has succeeded; gives their handles, in order.

        Errors are those of `longshore.Longshore.enqueue_many`.
        """
        return self.enqueue_many(chained(calls), tx=tx)

    def group(self, name: str | None = None, *, then: Call[Any] | None = None) -> Group:
        """A group of jobs: by its name the same everywhere, or a new one.

        Args:
            name: 1 to 189 bytes.
            then: called once the group is sealed, as ``with app.group(…):`` does at its end, and all have ended.
        """
        return Group(self, name if name is not None else self.store.name(IdMaker()()), then)

    def parents_of(self, identities: Sequence[str]) -> list[Parent]:
        """How these jobs stand, and what they returned: for `longshore.Context.parents`."""
        return parents_of(self.store, self.result_codec, identities)
