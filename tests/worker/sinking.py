"""An application that no worker process can load: each tells when it tried, and fails."""

from __future__ import annotations

import os
import sys
import time

from longshore import Longshore
from worker.dock import tell

app = Longshore("memory://")

if "longshore.processes.child" in sys.orig_argv:
    tell(os.environ["SINKING_PIPE"], "tried", time.monotonic(), os.getpid())
    raise SystemExit("it cannot start, as the test wanted")
