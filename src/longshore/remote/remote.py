"""The sender's side of remote control."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from longshore.codecs import is_native
from longshore.contract import HELD, SECOND, Where
from longshore.durations import Seconds, microseconds
from longshore.errors import IllegalMove, InvalidValue, JobRemoved, StoreError
from longshore.guard import Guard
from longshore.holders import living_workers, worker_of, worker_topic_of
from longshore.ids import IdMaker
from longshore.remote.messages import Answered, Message, answer_topic, post, read_answers

PATIENCE: Final = 5.0
_LOOK: Final = 1.0


class Reply(Struct, frozen=True):
    """What one worker said to a command.

    Attributes:
        worker: its name.
        answered: False: it has said nothing so far; it may still obey.
        value: what the command gave.
        error: why it failed, if it did.
    """

    worker: str
    answered: bool
    value: Any = None
    error: str | None = None


class Remote:
    """Sends commands to living workers and gathers their answers; ``app.remote`` is one.

    ``workers`` names those that are meant (as ``app.admin.workers()`` does), None all; ``wait`` is how many seconds are
    waited for answers.
    """

    def __init__(self, store: Guard) -> None:
        self._store = store
        self._make_id = IdMaker()

    def pause(self, *, workers: Iterable[str] | None = None, wait: Seconds = PATIENCE) -> list[Reply]:
        """Has workers take nothing more and hand back what has not begun; what runs goes on."""
        return self.send("pause", workers=workers, wait=wait)

    def resume(self, *, workers: Iterable[str] | None = None, wait: Seconds = PATIENCE) -> list[Reply]:
        """Has paused workers go on."""
        return self.send("resume", workers=workers, wait=wait)

    def scale(self, slots: int, *, workers: Iterable[str] | None = None, wait: Seconds = PATIENCE) -> list[Reply]:
        """Has workers run so many jobs at a time; with fewer than before, what runs goes on."""
        return self.send("scale", slots, workers=workers, wait=wait)

    def stop(self, identity: str, *, wait: Seconds = PATIENCE) -> Reply:
        """Interrupts the run of one job, whose attempt has failed then.

        Raises:
            JobRemoved: there is no such job.
            IllegalMove: no worker has it.
        """
        return self._to_its_worker(identity, "stop", identity, wait=wait)

    def signal(self, identity: str, signal: str, *, wait: Seconds = PATIENCE) -> Reply:
        """Sends the process of one job's run, with all that it started, INT, TERM, KILL, USR1 or USR2.

        Raises:
            JobRemoved: there is no such job.
            IllegalMove: no worker has it.
        """
        return self._to_its_worker(identity, "signal", identity, signal, wait=wait)

    def send(
        self,
        command: str,
        *positional: Any,
        workers: Iterable[str] | None = None,
        wait: Seconds = PATIENCE,
        **named: Any,
    ) -> list[Reply]:
        """Sends a command with its arguments, which are JSON values, and gives the answers, by worker.

        Each worker obeys its messages one after the other, in the order in which they were sent.

        Raises:
            InvalidValue: an argument has no form in JSON, or a worker is named that is not there.
        """
        _check_arguments(command, positional, named)
        meant = self._meant(workers)
        message = Message(self._make_id(), command, positional, named)
        ends = time.monotonic() + microseconds(wait, name="wait") / SECOND
        listener = self._store.listen([answer_topic(message.sending)])
        try:
            for store, workers_there in _by_store(meant):
                post(store, message, workers_there)
                store.wake([worker_topic_of(worker) for worker in workers_there])
            answers = _answers(meant, message)
            while len(answers) < len(meant) and (left := ends - time.monotonic()) > 0:
                listener.wait(min(left, _LOOK))
                answers = _answers(meant, message)
        finally:
            listener.close()
        return [
            Reply(worker, True, answers[worker].value, answers[worker].error)
            if worker in answers
            else Reply(worker, False)
            for worker in sorted(meant)
        ]

    def _meant(self, workers: Iterable[str] | None) -> dict[str, Guard]:
        """Who is meant, each with a store where it lives."""
        stores: dict[str, Guard] = {}
        living: dict[str, str] = {}
        for store, found in self._living():
            living |= found
            stores |= dict.fromkeys(found.values(), store)
        return {worker: stores[worker] for worker in _named(living, workers)}

    def _living(self) -> Iterator[tuple[Guard, dict[str, str]]]:
        """Who lives at each of the stores that answer.

        Raises:
            StoreError: none of them does.
        """
        failures: list[StoreError] = []
        stores = self._store.parts
        for store in stores:
            try:
                yield store, living_workers(store)
            except StoreError as error:
                failures.append(error)
        if len(failures) == len(stores):
            raise failures[0]

    def _to_its_worker(self, identity: str, command: str, *arguments: Any, wait: Seconds) -> Reply:
        found = self._store.select(Where(ids=(identity,)), limit=1, body=False).jobs
        if not found:
            raise JobRemoved(f"there is no job {identity}: it was removed, or never stored")
        job = found[0]
        if job.holder is None or job.state not in HELD:
            raise IllegalMove(f"expected job {identity} to run; it is {job.state.name.lower()}")
        return self.send(command, *arguments, workers=[worker_of(job.holder)], wait=wait)[0]


def _named(living: Mapping[str, str], workers: Iterable[str] | None) -> list[str]:
    """The workers of these names, or of those under which they hold jobs; all if none are given."""
    if workers is None:
        return sorted(set(living.values()))
    if isinstance(workers, str):
        workers = (workers,)
    names = {**living, **{worker: worker for worker in living.values()}}
    given = list(workers)
    if unknown := [name for name in given if name not in names]:
        there = ", ".join(sorted(living)) or "none"
        raise InvalidValue(f"no living worker is named {', '.join(unknown)}; living: {there}")
    return sorted({names[name] for name in given})


def _by_store(meant: Mapping[str, Guard]) -> list[tuple[Guard, list[str]]]:
    """The stores, each with the workers that are told there: each worker at one of its stores."""
    stores = {id(store): store for store in meant.values()}
    return [(store, sorted(each for each in meant if meant[each] is store)) for store in stores.values()]


def _answers(meant: Mapping[str, Guard], message: Message) -> dict[str, Answered]:
    answers: dict[str, Answered] = {}
    for store, _ in _by_store(meant):
        answers |= read_answers(store, message.sending)
    return answers


def _check_arguments(command: str, positional: Sequence[Any], named: dict[str, Any]) -> None:
    for name, value in [*enumerate(positional, 1), *named.items()]:
        if not is_native(value):
            raise InvalidValue(f"argument {name} of the command {command!r} must be a JSON value; it is {value!r}")
