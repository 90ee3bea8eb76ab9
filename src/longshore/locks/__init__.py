"""Named locks: at most so many inside at a time, by a name (docs/design/locks.md).

`Lock` is what users hold, `Locking` gives it by ``app.lock(…)``; `record` is what is
stored; `shown` is what operators see and do.
"""

from longshore.locks.lock import Lock
from longshore.locks.locking import Locking
from longshore.locks.shown import HoldInfo, LockInfo, free_lock, shown_locks

__all__ = ["HoldInfo", "Lock", "LockInfo", "Locking", "free_lock", "shown_locks"]
