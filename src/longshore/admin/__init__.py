"""What operators see of a store and do to its jobs: the same on every store, at any size of it.

`Reading` looks, `Acting` does, `Limiting` limits and pauses, `Admin` is all of them and runs single jobs in the
foreground; users hold it as ``app.admin``.
"""

from longshore.admin.acting import Fate, Verdict
from longshore.admin.admin import Admin
from longshore.admin.groups import GroupInfo
from longshore.admin.limiting import QueueInfo
from longshore.admin.reading import JobPage
from longshore.admin.values import Failure, FailurePage, HeldJob, Stats, Unserved, WorkerInfo
from longshore.history import Hour
from longshore.limits.pauses import PausedQueue
from longshore.limits.stored import Limit

__all__ = [
    "Admin",
    "Failure",
    "FailurePage",
    "Fate",
    "GroupInfo",
    "HeldJob",
    "Hour",
    "JobPage",
    "Limit",
    "PausedQueue",
    "QueueInfo",
    "Stats",
    "Unserved",
    "Verdict",
    "WorkerInfo",
]
