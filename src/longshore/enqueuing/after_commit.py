"""Calls that become jobs once the application's transaction has committed: for stores that cannot take part in it.

Between the commit and the jobs' being stored there is a moment; who dies in it takes the calls along
(docs/design/after-commit.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, Final, NamedTuple, Protocol, TypeVar, cast

from msgspec.structs import replace

from longshore import plugins
from longshore.calls.call import Call
from longshore.enqueuing.admission import Gate, admitting, telling
from longshore.enqueuing.naming import Naming
from longshore.enqueuing.storing import check_calls, enqueue_calls
from longshore.errors import InvalidValue, LongshoreError, NotEnqueued, PartialInsert
from longshore.hooks.calling import afinish, finish
from longshore.jobs import Job
from longshore.tasks import check_call

GROUP: Final = "longshore.commits"
R = TypeVar("R")


class Kept(NamedTuple):
    """Calls that were given together."""

    app: Gate
    make_id: Callable[[], str]
    calls: Sequence[Call[Any]]
    """Each with its id, as they are to be stored."""


class Keep(Protocol):
    """What knows when a library's transactions commit; named by an entry point that is called as its package is."""

    def __call__(self, handle: Any, kept: Kept, store: Callable[[list[Kept]], None], /) -> None:
        """Calls ``store`` once with all that was kept on a handle, when its transaction has committed; without what was
        kept in a savepoint that was rolled back, and not at all when all of it was.

        Raises:
            InvalidValue: nobody is told when this handle commits.
        """


class AfterCommit:
    """What enqueues once a transaction has committed: see `Longshore.after_commit`."""

    def __init__(self, app: Gate, handle: Any, make_id: Callable[[], str]) -> None:
        self._app = app
        self._handle = handle
        self._make_id = make_id
        self._keep = _keep_of(handle)

    def enqueue(self, call: Call[R]) -> Job[R]:
        """Has a job stored after the commit, and gives its handle: there is no job behind it until then.

        If the call is unique and its key is held then, the handle stays without a job.

        Raises:
            InvalidValue, TooLarge, Refused: it could not be stored; nothing is kept of it.
        """
        return self.enqueue_many([call])[0]

    def enqueue_many(self, calls: Iterable[Call[Any]]) -> list[Job[Any]]:
        """Has any number of jobs stored after the commit, at once, and gives their handles, in order; see `enqueue`."""
        given = _checked(calls)
        return self._kept(given, finish(admitting(self._app, given)))

    async def aenqueue(self, call: Call[R]) -> Job[R]:
        """The same as `enqueue`; hooks are awaited on this event loop."""
        return (await self.aenqueue_many([call]))[0]

    async def aenqueue_many(self, calls: Iterable[Call[Any]]) -> list[Job[Any]]:
        """The same as `enqueue_many`; hooks are awaited on this event loop."""
        given = _checked(calls)
        return self._kept(given, await afinish(admitting(self._app, given)))

    def _kept(self, given: Sequence[Call[Any]], calls: Sequence[Call[Any]]) -> list[Job[Any]]:
        identities = Naming(self._app.store, calls, self._make_id, given).ids
        within = {id(one): identity for one, identity in zip(given, identities, strict=True)}
        named = [_named(call, identity, within) for call, identity in zip(calls, identities, strict=True)]
        # What is wrong with them is said now, when it can still take the transaction back.
        check_calls(self._app.store, named)
        if named:
            self._keep(self._handle, Kept(self._app, self._make_id, named), store_kept)
        return [Job(self._app, identity) for identity in identities]


def store_kept(kept: list[Kept]) -> None:
    """Stores what was kept, all calls of an application at once.

    Raises:
        NotEnqueued: some of it could not be stored; all of it was tried.
    """
    missing: list[Call[Any]] = []
    errors: list[LongshoreError] = []
    for app, own in groupby(kept, lambda one: one.app):
        bulks = list(own)
        calls = [call for bulk in bulks for call in bulk.calls]
        answers = _stored(app, calls, bulks[0].make_id)
        finish(telling(app, calls, answers))
        for call, answer in zip(calls, answers, strict=True):
            if isinstance(answer, LongshoreError):
                missing.append(call)
                errors.append(answer)
    if missing:
        raise NotEnqueued(missing, errors[0]) from errors[0]


def _stored(app: Gate, calls: Sequence[Call[Any]], make_id: Callable[[], str]) -> list[str | LongshoreError]:
    try:
        return enqueue_calls(app.store, calls, make_id)
    except PartialInsert as error:
        unsure = {job.id for job in error.remaining}
        return [error if (name := str(call.options.id)) in unsure else name for call in calls]
    except LongshoreError as error:
        return [error] * len(calls)


def _named(call: Call[Any], identity: str, within: Mapping[int, str]) -> Call[Any]:
    """The call with an id, and with those of its parents that are given with it."""
    bonds = call.options.bonds
    if bonds is not None:
        bonds = replace(bonds, after=tuple(within.get(id(parent), parent) for parent in bonds.after))
    return replace(call, options=replace(call.options, id=identity, bonds=bonds))


def _checked(calls: Iterable[Call[Any]]) -> list[Call[Any]]:
    given = list(calls)
    for call in given:
        check_call(call)
    return given


def _keep_of(handle: object) -> Keep:
    kind = type(handle)
    keep = _keep_for(tuple(dict.fromkeys(one.__module__.partition(".")[0] for one in kind.__mro__)))
    if keep is None:
        raise InvalidValue(
            f"expected a session of SQLAlchemy's or Django's connection, got {kind.__module__}.{kind.__qualname__}, of "
            "which nobody is told when it commits: keep the calls in a list, and give them to enqueue_many after the "
            "commit"
        )
    return keep


@lru_cache(maxsize=64)
def _keep_for(packages: tuple[str, ...]) -> Keep | None:
    installed = (package for package in packages if plugins.is_installed(GROUP, package))
    package = next(installed, None)
    return None if package is None else cast(Keep, plugins.load(GROUP, package))
