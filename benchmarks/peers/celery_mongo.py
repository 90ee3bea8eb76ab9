"""Celery on its MongoDB transport."""

from benchmarks.peers.celery_program import celery_on
from benchmarks.servers import url_in

CELERY = celery_on(
    lambda directory: f"{url_in(directory)}&w=majority&journal=true",
    title="celery",
    promise="At most once where a worker is killed: a message is removed as it is fetched, a hundred for each thread. "
    "No results in this row, no fence.",
    jobs=1_000,
)
