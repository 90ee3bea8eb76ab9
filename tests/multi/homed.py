"""Several stores whose jobs all have names with one part in braces: at one home every promise is kept to the letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from longshore.contract import (
    EVERY,
    Answer,
    By,
    Change,
    Claim,
    Claimed,
    Features,
    Inserted,
    NewJob,
    Page,
    StoredJob,
    Where,
)
from longshore_multi.driver import MultiDriver

SHARED = "{kit}"
Job = TypeVar("Job", NewJob, StoredJob)


def put_in(name: str | None) -> str | None:
    return None if name is None else f"{SHARED}{name}"


def put_in_all(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{SHARED}{name}" for name in names)


def taken_out(name: str | None) -> str | None:
    return None if name is None else name.removeprefix(SHARED)


def job_in(job: Job) -> Job:
    names = {name: put_in(getattr(job, name)) for name in ("id", "unique_key", "key", "group")}
    return replace(job, parents=put_in_all(job.parents), **names)


def job_out(job: StoredJob) -> StoredJob:
    names = {name: taken_out(getattr(job, name)) for name in ("id", "unique_key", "key", "group")}
    return replace(job, parents=tuple(parent.removeprefix(SHARED) for parent in job.parents), **names)


def change_in(change: Change) -> Change:
    fields = dict(change.fields)
    if "unique_key" in fields:
        fields["unique_key"] = put_in(change.fields["unique_key"])
    if "parents" in fields:
        fields["parents"] = put_in_all(change.fields["parents"])
    return replace(change, id=SHARED + change.id, fields=fields)


def where_in(where: Where) -> Where:
    several = {name: getattr(where, name) for name in ("ids", "groups", "parents", "keys")}
    names = {name: put_in_all(asked) for name, asked in several.items() if asked is not None}
    return replace(where, unique_key=put_in(where.unique_key), **names)


def claims_in(claims: Sequence[Claim]) -> list[Claim]:
    return [replace(claim, id=put_in(claim.id)) for claim in claims]


def claimed_out(claimed: Claimed) -> Claimed:
    expired = [name.removeprefix(SHARED) for name in claimed.expired]
    return replace(claimed, jobs=[job_out(job) for job in claimed.jobs], expired=expired)


class Homed(MultiDriver):
    @classmethod
    def connect(cls, target: Any, **options: Any) -> Homed:
        driver = super().connect(target, **options)
        driver.features |= Features.ONE_PLACE
        return driver

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None) -> list[Inserted]:
        answers = super().insert([job_in(job) for job in jobs], tx=tx)
        return [replace(answer, held_by=taken_out(answer.held_by)) for answer in answers]

    def claim(self, claims: Sequence[Claim], **how: Any) -> Claimed:
        return claimed_out(super().claim(claims_in(claims), **how))

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        return super().update([change_in(change) for change in changes], tx=tx)

    def exchange(self, changes: Sequence[Change], claims: Sequence[Claim], **how: Any) -> tuple[list[Answer], Claimed]:
        if not changes:
            return [], self.claim(claims, **how)
        answers, claimed = super().exchange([change_in(change) for change in changes], claims_in(claims), **how)
        return answers, claimed_out(claimed)

    def select(self, where: Where = EVERY, **how: Any) -> Page:
        page = super().select(where_in(where), **how)
        return replace(page, jobs=[job_out(job) for job in page.jobs])

    def count(self, by: By, where: Where = EVERY) -> dict[tuple[Any, ...], int]:
        found = super().count(by, where_in(where))
        if by is not By.GROUP_STATE:
            return found
        return {(taken_out(group), state): number for (group, state), number in found.items()}

    def delete(self, where: Where, *, limit: int = 1_000) -> list[str]:
        return [name.removeprefix(SHARED) for name in super().delete(where_in(where), limit=limit)]
