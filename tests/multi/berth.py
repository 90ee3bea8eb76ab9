"""What tests of workers at several stores share: jobs that are put where the test wants them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from longshore import Call, Job, Longshore, Options
from longshore.contract import Where
from longshore.ids import IdMaker


def named_for_each(app: Longshore, number: int) -> dict[str, list[str]]:
    """So many ids for each store, by its tag."""
    ids: dict[str, list[str]] = {part.tag: [] for part in app.store.driver.parts}  # type: ignore[attr-defined]
    make_id = IdMaker()
    while any(len(some) < number for some in ids.values()):
        name = app.store.name(make_id())
        some = ids[name.rpartition("@")[2]]
        if len(some) < number:
            some.append(name)
    return ids


def in_each(app: Longshore, task: str, number: int, **arguments: Any) -> dict[str, list[Job[Any]]]:
    """Enqueues so many jobs into each store; gives them by its tag. Each is told ``word``, its store and number."""
    ids = named_for_each(app, number)
    calls: list[Call[Any]] = [
        app.call_by_name(task, {"word": f"{tag} {place}", **arguments}, options=Options(id=name))
        for tag, some in ids.items()
        for place, name in enumerate(some)
    ]
    app.enqueue_many(calls)
    return {tag: [app.job(name) for name in some] for tag, some in ids.items()}


def number_in_each(app: Longshore) -> dict[str, int]:
    """How many jobs there are in each store, by its tag."""
    return {part.tag: len(list(part.select(Where(), limit=1_000).jobs)) for part in app.store.driver.parts}  # type: ignore[attr-defined]


def twice(app: Longshore) -> list[str]:
    """The ids that are in more than one store."""
    found = Counter(job.id for side in app.sides for job in side.store.each(body=False))
    return [name for name, number in found.items() if number > 1]
