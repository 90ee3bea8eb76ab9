"""Messages to workers and their answers, as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from longshore.contract import SECOND, Write
from longshore.guard import Guard

MESSAGE: Final = "message"
ANSWER: Final = "answer"
_MESSAGE_LIFE: Final = 3600 * SECOND
_ANSWER_LIFE: Final = 600 * SECOND


class Message(Struct, frozen=True):
    """A command to one worker."""

    sending: str
    command: str
    positional: tuple[Any, ...] = ()
    named: Mapping[str, Any] = {}


class Answered(Struct, frozen=True):
    """What a worker's command gave, or why it failed."""

    value: Any = None
    error: str | None = None


def post(store: Guard, message: Message, workers: Sequence[str]) -> None:
    """Puts the message into the inbox of each worker: behind all that was put there before."""
    now = store.now()
    value = msgspec.json.encode(message)
    store.write(
        [
            Write(MESSAGE, f"{worker}:{now:020}:{number:06}", value, lifetime=_MESSAGE_LIFE)
            for number, worker in enumerate(workers)
        ]
    )


def read_inbox(store: Guard, worker: str) -> list[tuple[str, Message]]:
    """The messages of a worker in the order of sending, each with its key."""
    records = store.read(MESSAGE, prefix=f"{worker}:")
    return [(record.key, msgspec.json.decode(record.value, type=Message)) for record in records]


def answer(store: Guard, key: str, message: Message, worker: str, answered: Answered) -> None:
    """Takes the message out of the inbox, and tells the sender."""
    value = msgspec.json.encode(answered)
    store.write(
        [
            Write(ANSWER, f"{message.sending}:{worker}", value, lifetime=_ANSWER_LIFE),
            Write(MESSAGE, key, None),
        ]
    )
    store.wake([answer_topic(message.sending)])


def read_answers(store: Guard, sending: str) -> dict[str, Answered]:
    """The answers so far, by worker."""
    prefix = f"{sending}:"
    return {
        record.key.removeprefix(prefix): msgspec.json.decode(record.value, type=Answered)
        for record in store.read(ANSWER, prefix=prefix)
    }


def answer_topic(sending: str) -> str:
    """What is woken when a worker has answered."""
    return f"answer:{sending}"
