"""Claiming from several stores: each in turn, until there is enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from longshore.contract import Claim, Claimed, Duration, StoredJob
from longshore_multi.asking import Asked
from longshore_multi.part import Part


class Taking:
    """What one call takes, part by part.

    Args:
        claims: served in sequence by each part; their own limits hold for all parts together.
    """

    def __init__(self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None) -> None:
        self._claims = list(claims)
        self._holder = holder
        self._limit = limit
        self._max_bytes = max_bytes
        self._jobs: list[StoredJob] = []
        self._expired: list[str] = []
        self._dues: list[Duration] = []
        self._passed_over = False

    @property
    def claims(self) -> list[Claim]:
        """What is still wanted."""
        return self._claims

    @property
    def limit(self) -> int:
        """How many more."""
        return self._limit - len(self._jobs)

    def take_from(self, parts: Iterable[Part]) -> None:
        """Takes from one after the other; one that does not answer is passed over. What its lost answer held, its
        holder finds.

        Raises:
            Unavailable: none answers.
        """
        asked = Asked()
        for part in parts:
            if self.is_enough:
                return
            claimed = asked.ask(lambda part=part: self._claim(part))  # type: ignore[misc]
            if claimed is not None:
                self.add(claimed)
        asked.must_be_some()

    @property
    def is_enough(self) -> bool:
        """Whether no further part need be asked."""
        if not self._jobs:
            return False
        # A part gives its first job however large it is: of bytes there would be more than were allowed.
        return self.limit <= 0 or not self._claims or self._max_bytes is not None

    def add(self, claimed: Claimed) -> None:
        """What one part gave."""
        self._jobs += claimed.jobs
        self._expired += claimed.expired
        self._passed_over = self._passed_over or claimed.passed_over
        if claimed.next_due is not None:
            self._dues.append(claimed.next_due)
        for job in claimed.jobs:
            self._claims = [left for claim in self._claims if (left := _after(claim, job)) is not None]

    def taken(self) -> Claimed:
        """What all gave."""
        if self._jobs:
            return Claimed(self._jobs, self._expired)
        return Claimed([], self._expired, min(self._dues, default=None), self._passed_over)

    def _claim(self, part: Part) -> Claimed:
        return part.claim(self._claims, holder=self._holder, limit=self.limit, max_bytes=self._max_bytes)


def _after(claim: Claim, job: StoredJob) -> Claim | None:
    """What a claim may still take once a job was taken. By which of the claims it was nobody says: it counts for each
    that might have taken it, so that none ever takes more than its limit."""
    if claim.id == job.id:
        return None
    if claim.limit is None or not _might_take(claim, job):
        return claim
    return replace(claim, limit=claim.limit - 1) if claim.limit > 1 else None


def _might_take(claim: Claim, job: StoredJob) -> bool:
    return (
        claim.id is None
        and job.queue in claim.queues
        and (claim.tasks is None or job.task in claim.tasks)
        and (claim.min_priority is None or job.priority >= claim.min_priority)
    )
