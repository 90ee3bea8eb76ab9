"""Tests of applications: their jobs in a store of the test's own, run one after another when the test says so.

Nothing is imitated: arguments go through their codec into a store and come back, runs are claimed under a lease, fenced
and settled as a worker's are, and what a crash leaves is rescued as after a real one. Only time is the test's.
"""

from longshore.testing.harness.enqueued import EnqueuedJob
from longshore.testing.harness.harness import Harness
from longshore.testing.harness.mishaps import Delivery
from longshore.testing.harness.running import Ran

__all__ = ["Delivery", "EnqueuedJob", "Harness", "Ran"]
