"""How calls are admitted to the store: past the application's hooks (docs/design/hooks.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from msgspec.structs import replace

from longshore.application import Application
from longshore.calls.call import Call, Options
from longshore.enqueuing.bonding import Enqueued as Answer
from longshore.enqueuing.bonding import check_alone
from longshore.enqueuing.storing import enqueue_calls
from longshore.errors import LongshoreError, Refused
from longshore.hooks import Enqueued, Enqueuing, Payload
from longshore.hooks.calling import Steps, afinish, ask, finish, name_of, tell
from longshore.tasks import Configured, check_call
from longshore.transactions import within


class Gate(Application, Protocol):
    """What enqueuing needs of an application."""

    def call_by_name(
        self, task: str, arguments: Mapping[str, Any] | None = None, *, options: Options | None = None
    ) -> Call[Any]:
        """A call of a task that need not be registered."""


def enqueue(app: Gate, calls: Sequence[Call[Any]], make_id: Callable[[], str], *, tx: Any = None) -> list[Answer]:
    """Stores a job for each call, and answers each.

    Raises:
        Refused, InvalidValue: a hook refused a call, or made it one that cannot be stored; nothing was stored.
        InvalidValue, PartialInsert: as by `enqueue_calls`.
    """
    hooks = app.hooks
    admitted = finish(admitting(app, calls)) if hooks.pre_enqueue or hooks.serialize else calls
    answers = enqueue_calls(app.store, admitted, make_id, tx=tx, given=calls)
    if hooks.post_enqueue:
        finish(telling(app, admitted, answers))
    return answers


def admit(app: Gate, call: Call[Any]) -> Call[Any]:
    """The call as hooks leave it, to be stored otherwise than by `enqueue`.

    Raises:
        Refused, InvalidValue: as by `enqueue`.
    """
    return finish(admitting(app, [call]))[0]


async def aenqueue(app: Gate, call: Call[Any]) -> str:
    """Stores a job for one call together with those that come at the same time, and gives its id."""
    check_call(call)
    check_alone(call)
    (admitted,) = await afinish(admitting(app, [call]))
    identity = await app.awaiting.enqueue(admitted)
    await afinish(telling(app, [admitted], [identity]))
    return identity


async def aenqueue_many(
    app: Gate, calls: Sequence[Call[Any]], make_id: Callable[[], str], *, tx: Any = None
) -> list[Answer]:
    """The same as `enqueue`; hooks run on this event loop, and ``tx`` is one of it."""
    import asyncio

    admitted = await afinish(admitting(app, calls))
    store = await asyncio.to_thread(lambda: app.store)  # Which may have to be opened, and that takes its time.
    enqueued = partial(enqueue_calls, store, admitted, make_id, given=calls)
    if tx is None:
        answers = await asyncio.to_thread(enqueued)
    else:
        answers = await within(tx, lambda own: enqueued(tx=own))
    await afinish(telling(app, admitted, answers))
    return answers


def admitting(app: Gate, calls: Sequence[Call[Any]]) -> Steps[Sequence[Call[Any]]]:
    """The calls as hooks have left them."""
    if not (app.hooks.pre_enqueue or app.hooks.serialize):
        return calls
    admitted: list[Call[Any]] = []
    for call in calls:
        check_call(call)
        admitted.append((yield from _admitted_one(app, call)))
    return admitted


def _admitted_one(app: Gate, call: Call[Any]) -> Steps[Call[Any]]:
    """The call as hooks have left it, and those that are made at its end too: their jobs are stored with its own."""
    changed = yield from _changed(app, call)
    bonds = changed.options.bonds
    if bonds is not None:
        for name in ("on_success", "on_failure", "on_end"):
            then: Call[Any] | None = getattr(bonds, name)
            if then is not None:
                bonds = replace(bonds, **{name: (yield from _admitted_one(app, then))})
        changed = replace(changed, options=replace(changed.options, bonds=bonds))
    return (yield from _serialized(app, changed))


def _changed(app: Gate, call: Call[Any]) -> Steps[Call[Any]]:
    hooks = app.hooks.pre_enqueue.of(call.task)
    event = Enqueuing(call.task, call.options, lambda: _arguments(app, call))
    yield from _asked(hooks, event)
    if not event.is_read and event.options is call.options:
        return call
    task = app.tasks.get(call.task)
    if task is None:
        made = app.call_by_name(call.task, event.arguments, options=event.options)
    else:
        made = Configured(task, event.options).call_named(event.arguments)
    # The call as it was made tells repeats of it, whatever a hook puts in.
    return replace(made, max_attempts=call.max_attempts, fingerprint=call.fingerprint or call.payload)


def _arguments(app: Gate, call: Call[Any]) -> dict[str, Any]:
    task = app.tasks.get(call.task)
    if task is not None:
        return task.arguments.named(call.payload, call.codec)
    values: dict[str, Any] = app.result_codec(call.task).decode(call.payload, call.codec)
    return values


def _serialized(app: Gate, call: Call[Any]) -> Steps[Call[Any]]:
    hooks = app.hooks.serialize.of(call.task)
    if not hooks:
        return call
    payload = Payload(call.task, call.codec, call.payload)
    yield from _asked(hooks, payload)
    return replace(call, payload=payload.checked(), fingerprint=call.fingerprint or call.payload)


def _asked(hooks: Sequence[Callable[[Any], Any]], event: Enqueuing | Payload) -> Steps[None]:
    for hook in hooks:
        try:
            yield from ask([hook], event)
        except LongshoreError:
            raise
        except Exception as error:
            raise Refused(
                f"the hook {name_of(hook)} refused a call of {event.task}: {type(error).__name__}: {error}"
            ) from error


def telling(app: Gate, calls: Iterable[Call[Any]], answers: Iterable[Answer]) -> Steps[None]:
    """Tells the application's hooks of the calls that have become jobs."""
    if not app.hooks.post_enqueue:
        return
    for call, answer in zip(calls, answers, strict=True):
        if isinstance(answer, str):
            event = Enqueued(job_id=answer, task=call.task, options=call.options)
            yield from tell(app.hooks.post_enqueue.of(call.task), event)
