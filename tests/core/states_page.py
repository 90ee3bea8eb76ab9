"""The page `docs/states.md`, drawn from the state machine. ``python tests/core/states_page.py`` writes it anew."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from longshore.contract import ENDED, UNENDED, State
from longshore.states import EVENTS, Event

PAGE = Path(__file__).parents[2] / "docs" / "states.md"

MEANINGS = {
    State.WAITING: "its parents have not ended, or its turn has not come",
    State.PENDING: "may be claimed once it is due",
    State.RESERVED: "locked by hand, not started",
    State.RUNNING: "a worker runs it",
    State.SUCCEEDED: "done; its result is kept",
    State.FAILED: "its attempts are used up, or it was discarded",
    State.CANCELLED: "somebody cancelled it",
    State.EXPIRED: "not begun in time",
    State.ABANDONED: "given up without an answer: purged, or its workers kept dying",
}

INTRODUCTION = """\
# The states of a job

This page is drawn from `longshore.states.EVENTS`, the only place where the machine is written down; change it there,
then run `python tests/core/states_page.py`.

A job stands in one of {count} states. Four of them are on the way, five are ends.

{states}

People are shown three more words: *scheduled* is pending and due later, *retrying* is the same after an attempt or a
crash, *cancelling* is running after somebody asked to cancel.

## Events

Storing a job makes it pending, or waiting while a parent or its turn keeps it. A claim makes a pending job that is due
running (attempt + 1, generation + 1) or, by hand, reserved (generation + 1). All else is a row of this table. A change
made from a row is applied only if the job still stands as it was read: in one of the states *from*, and while a worker
has it, in the same generation and with the same holder. An event that does not lead away from a job's state is an
`IllegalMove`.

{events}

*Attempt* counts runs against `max_attempts`; *crashes* (against `max_crashes`) and *snoozes* are counted apart.
*Generation* is the fence: it rises with every claim and every retry by a person; whoever comes with an older one is
refused. *By the run* are the events that only the run itself may do. *Unless cancelling* are those refused once
somebody asked to cancel: `stop` takes their place, and a job of a lost holder is cancelled by `rescue cancelled`.
Every end frees the job's turn and its unique key, but not the key of a unique period still running.
"""


def page() -> str:
    """The whole page."""
    return INTRODUCTION.format(
        count=len(State),
        states=table(["State", "", "Meaning"], map(state_row, State)),
        events=table(
            ["Event", "From", "To", "Attempt", "Crashes", "Snoozes", "Generation", "", "Meaning"],
            map(event_row, EVENTS),
        ),
    )


def state_row(state: State) -> list[str]:
    return [name(state), "end" if state in ENDED else "", MEANINGS[state]]


def event_row(event: Event) -> list[str]:
    marks = ["by the run"] * event.own + ["unless cancelling"] * event.unless_cancelled
    counts = [signed(event.attempt), signed(event.crashes), signed(event.snoozes), signed(int(event.renews))]
    to = name(event.to) if event.to is not None else "stays"
    return [event.name, sources(event.sources), to, *counts, ", ".join(marks), event.meaning]


def sources(states: frozenset[State]) -> str:
    if states == frozenset(State):
        return "any"
    return "any but ends" if states == UNENDED else ", ".join(name(state) for state in sorted(states))


def name(state: State) -> str:
    return state.name.lower()


def signed(count: int) -> str:
    return f"{count:+}".replace("-", "−") if count else ""


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


if __name__ == "__main__":
    PAGE.write_text(page())
