"""A job queue for Python whose storage is chosen by a URL.

``from longshore import Longshore`` is where an application begins; `longshore.contract` is where a driver does.
"""

from longshore.app import Longshore
from longshore.calls.call import Call, Options
from longshore.calls.unique import Debounce, Throttle, Unique
from longshore.context import Context
from longshore.contract import Features, State
from longshore.enqueuing.grouping import Group
from longshore.fetching import Fetch, FetchedJob
from longshore.info import Attempt, JobInfo
from longshore.jobs import Job
from longshore.locks import Lock
from longshore.parents import Parent
from longshore.progress import Progress
from longshore.replies import Replies
from longshore.retry import (
    Discard,
    Exponential,
    Fixed,
    Linear,
    LinearThenExponential,
    Polynomial,
    Retry,
    RetryIn,
    Snooze,
)
from longshore.schedules import Cron, Every
from longshore.tasks import Task
from longshore.telling import Cursor, Reply, Restarted
from longshore.worker.worker import Worker

__all__ = [
    "Attempt",
    "Call",
    "Context",
    "Cron",
    "Cursor",
    "Debounce",
    "Discard",
    "Every",
    "Exponential",
    "Features",
    "Fetch",
    "FetchedJob",
    "Fixed",
    "Group",
    "Job",
    "JobInfo",
    "Linear",
    "LinearThenExponential",
    "Lock",
    "Longshore",
    "Options",
    "Parent",
    "Polynomial",
    "Progress",
    "Replies",
    "Reply",
    "Restarted",
    "Retry",
    "RetryIn",
    "Snooze",
    "State",
    "Task",
    "Throttle",
    "Unique",
    "Worker",
]
