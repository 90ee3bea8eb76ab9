"""How much memory and CPU time a process took, asked from the outside or from within (Linux)."""

import re
import time
from pathlib import Path


def peak_megabytes(process: int | str) -> float:
    """The most resident memory a process ever had."""
    # getrusage() will not do: a child's figure begins with its parent's peak.
    status = Path(f"/proc/{process}/status").read_text()
    kilobytes = re.search(r"VmHWM:\s+(\d+) kB", status)
    if kilobytes is None:
        raise OSError(f"/proc/{process}/status: expected a line VmHWM, came none")
    return int(kilobytes[1]) / 1024


def cpu_seconds(process: int) -> float:
    """User and system time of a running process, to the nanosecond."""
    # Linux makes the clock id of a process by this rule; /proc/PID/stat counts in steps of 10 ms.
    return time.clock_gettime((~process << 3) | 2)
