"""taskiq on Redis streams, the broker of its that acknowledges."""

from taskiq_redis import RedisStreamBroker

from benchmarks.peers.taskiq_program import taskiq_on
from benchmarks.servers import url_in

TASKIQ = taskiq_on(
    lambda directory: RedisStreamBroker(url_in(directory), consumer_id="0"),  # Also what came before the worker.
    title="taskiq (streams)",
    promise="At least once, as a stream's pending entries are claimed by others after a time; no results in this row, "
    "no fence.",
    enqueued=3_000,
    drained=4_000,
)
