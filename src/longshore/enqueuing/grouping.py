"""Groups: any number of jobs, and one call when the last of them has ended."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from msgspec.structs import replace

from longshore.calls.bonds import check_group
from longshore.calls.call import Bonds, Call, digest_of, new_job
from longshore.contract import By, State, Where
from longshore.errors import InvalidValue
from longshore.following import callback_id, seal
from longshore.guard import Guard
from longshore.jobs import Job

R = TypeVar("R")
_NO_BONDS = Bonds()


class Enqueuing(Protocol):
    """What a group needs of its application."""

    @property
    def store(self) -> Guard: ...

    def enqueue_many(self, calls: Iterable[Call[Any]], *, tx: Any = None) -> list[Job[Any]]: ...

    def admit(self, call: Call[Any]) -> Call[Any]: ...

    def job(self, identity: str) -> Job[Any]: ...


class Group:
    """Jobs that belong together; ``with app.group("import 7", then=call) as group:`` seals it at the end of the block.

    Members are added by anybody, here or by ``options(group=…)``, also while others run, until the group is sealed.
    When it is sealed and every member has ended, however it did, the callback becomes a job: once, whatever crashes.
    A group that is never sealed never calls back. One that is sealed without members does at once.
    """

    def __init__(self, app: Enqueuing, name: str, then: Call[Any] | None = None) -> None:
        self.id = check_group(name)
        self._app = app
        self._then = then

    def __repr__(self) -> str:
        return f"<Group {self.id}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._then is not None:
            self.seal(self._then)

    def enqueue(self, call: Call[R], *, tx: Any = None) -> Job[R]:
        """Stores a job that makes this call, as a member."""
        return self.enqueue_many([call], tx=tx)[0]

    def enqueue_many(self, calls: Iterable[Call[Any]], *, tx: Any = None) -> list[Job[Any]]:
        """Stores any number of members at once; errors as by `Longshore.enqueue_many`."""
        return self._app.enqueue_many([self._member(call) for call in calls], tx=tx)

    def seal(self, then: Call[Any]) -> Job[Any]:
        """No more members are to come; gives the handle of the callback, which is stored when the last one has ended.

        What is called learns by `counts` how the members have ended. To seal again with the same call changes nothing.

        Raises:
            IdConflict: the group was sealed with another call before.
            InvalidValue: the callback has an id, parents, a group, or calls at its own end.
        """
        if (then.options.bonds or _NO_BONDS) != _NO_BONDS or then.options.id or then.slot:
            raise InvalidValue(
                f"a group's callback is stored once, under the group's own id; {then!r} must have neither id, unique, "
                "key, group, after nor calls at its own end: let it enqueue what is to come then"
            )
        admitted = self._app.admit(then)
        seal(self._app.store, self.id, new_job(admitted, callback_id(self.id), digest_of(admitted)))
        return self._app.job(callback_id(self.id))

    def counts(self) -> dict[State, int]:
        """How many members are in each state; of those that are still stored, so as long as they are kept."""
        counts = dict.fromkeys(State, 0)
        for (_, state), number in self._app.store.count(By.GROUP_STATE, Where(groups=(self.id,))).items():
            counts[State(state)] += number
        return counts

    def _member(self, call: Call[R]) -> Call[R]:
        bonds = replace(call.options.bonds or Bonds(), group=self.id)
        return replace(call, options=replace(call.options, bonds=bonds))
