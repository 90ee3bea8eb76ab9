"""Any graph of jobs, with any ends, rules and keys, comes to rest where the rules say, and nothing is left over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore import Call, Longshore, Retry, State
from longshore.contract import ENDED, Where
from longshore.following.sweep import sweep

RULES = ("cancel", "wait", "lax")


class Node(NamedTuple):
    """A job to be: which of those before it are its parents, whether it fails, its rule and its key."""

    parents: tuple[int, ...]
    fails: bool
    rule: str
    key: str | None


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 9))):
        parents = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        key = draw(st.sampled_from((None, None, "k", "l")))
        nodes.append(Node(tuple(parents), draw(st.booleans()), draw(st.sampled_from(RULES)), key))
    return nodes


def expected(nodes: Sequence[Node]) -> list[State]:
    """Where each job comes to rest: decided again and again until nothing moves."""
    states = [State.WAITING] * len(nodes)
    moved = True
    while moved:
        moved = False
        for place in range(len(nodes)):
            state = states[place] if states[place] in ENDED else decided(place, nodes, states)
            moved |= state is not states[place]
            states[place] = state
    return states


def decided(place: int, nodes: Sequence[Node], states: Sequence[State]) -> State:
    node = nodes[place]
    parents = [states[parent] for parent in node.parents]
    failed = any(state in ENDED - {State.SUCCEEDED} for state in parents)
    if failed and node.rule == "cancel":
        return State.CANCELLED
    before = [states[other] for other in range(place) if node.key is not None and nodes[other].key == node.key]
    is_held_up = any(state not in ENDED for state in (*parents, *before)) or (failed and node.rule == "wait")
    return State.WAITING if is_held_up else State.FAILED if node.fails else State.SUCCEEDED


@pytest.fixture
def harbour(app: Longshore) -> Longshore:
    @app.task(retry=Retry(max_attempts=1))
    def load(fails: bool) -> None:
        if fails:
            raise ValueError

    return app


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes=graphs())
def test_any_graph_comes_to_rest_where_the_rules_say(harbour: Longshore, nodes: list[Node]) -> None:
    harbour.store.clear()
    load = harbour.tasks["load"]
    calls: list[Call[None]] = []
    for node in nodes:
        configured = load.options(
            after=[calls[parent] for parent in node.parents],
            lax=node.rule == "lax",
            if_parent_fails="wait" if node.rule == "wait" else "cancel",
            key=node.key,
            group="all",
        )
        calls.append(configured.call(node.fails))
    jobs = harbour.enqueue_many(calls)
    harbour.worker(slots=3).run(until_empty=True)
    sweep(harbour.store)
    states = {job.id: job.state for job in harbour.store.each(body=False)}
    assert [states[job.id] for job in jobs] == expected(nodes), "and the sweep found nothing that was missed"
    assert harbour.store.select(Where(releases=True)).jobs == [], "all that ended was followed"
