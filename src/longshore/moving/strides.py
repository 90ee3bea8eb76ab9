"""How many jobs are in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from longshore.contract import StoredJob

_MOST: Final = 500
_BYTES: Final = 8 * 1024 * 1024


class Strides:
    """Parts of lists: as many jobs as take a few megabytes, as far as the last ones tell."""

    def __init__(self) -> None:
        self._size = 50

    def of(self, ids: Sequence[str]) -> Iterator[Sequence[str]]:
        """The list in parts."""
        start = 0
        while start < len(ids):
            part = ids[start : start + self._size]
            start += len(part)
            yield part

    def weigh(self, jobs: Sequence[StoredJob]) -> None:
        """How large those of the last part were."""
        if jobs:
            weight = sum(map(_bytes, jobs)) // len(jobs) + 1
            self._size = max(1, min(_MOST, self._size * 2, _BYTES // weight))


def _bytes(job: StoredJob) -> int:
    return len(job.payload) + len(job.result or b"") + len(job.cursor or b"") + sum(map(len, job.attempts))
