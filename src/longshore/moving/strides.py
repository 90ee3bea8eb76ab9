"""How many jobs are in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from longshore.contract import StoredJob

_MOST: Final = 1_000
BYTES: Final = 8 * 1024 * 1024


class Strides:
    """As many jobs as take a few megabytes, as far as the last ones tell.

    Attributes:
        size: how many that are now.
    """

    def __init__(self) -> None:
        self.size = 50

    def of(self, ids: Sequence[str]) -> Iterator[Sequence[str]]:
        """The list in parts."""
        start = 0
        while start < len(ids):
            part = ids[start : start + self.size]
            start += len(part)
            yield part

    def weigh(self, jobs: Sequence[StoredJob]) -> None:
        """How large those of the last part were."""
        if jobs:
            weight = sum(map(weight_of, jobs)) // len(jobs) + 1
            self.size = max(1, min(_MOST, self.size * 2, BYTES // weight))


def weight_of(job: StoredJob) -> int:
    """Bytes of what may be large of a job."""
    return len(job.payload) + len(job.result or b"") + len(job.cursor or b"") + sum(map(len, job.attempts))
