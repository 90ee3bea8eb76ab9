"""Runs jobs here and now, in the test's own thread."""

from __future__ import annotations

from longshore import Longshore
from longshore.contract import Answer, Claim
from longshore.testing.samples import ANNA
from longshore.worker.performing import perform


def work(app: Longshore, *queues: str, limit: int = 100) -> list[Answer]:
    """Runs what is due, once each, and settles it."""
    claims = [Claim(queues or ("default",), frozenset(app.tasks))]
    jobs = app.store.claim(claims, holder=ANNA, limit=limit).jobs
    return app.store.update([perform(app, job) for job in jobs])
