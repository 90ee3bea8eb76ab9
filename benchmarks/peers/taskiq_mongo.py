"""taskiq on the MongoDB broker of taskiq-mongodb."""

from taskiq_mongodb import MongoBroker

from benchmarks.peers.taskiq_program import taskiq_on
from benchmarks.servers import url_in

TASKIQ = taskiq_on(
    lambda directory: MongoBroker(f"{url_in(directory)}&w=majority&journal=true", "bench"),
    title="taskiq-mongodb",
    promise="At least once, as what is not acknowledged comes back after a visibility timeout; no results in this row, "
    "no fence.",
    enqueued=1_000,
    drained=600,
)
