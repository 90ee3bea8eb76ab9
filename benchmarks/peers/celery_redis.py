"""Celery on Redis."""

from benchmarks.peers.celery_program import celery_on
from benchmarks.servers import url_in

CELERY = celery_on(
    url_in,
    title="celery (late acknowledgement)",
    promise="At least once, as what is not acknowledged comes back after the visibility timeout of an hour; no results "
    "in this row, no fence.",
    jobs=2_000,
)
