"""The tokens of a rate that lie with one worker."""

from __future__ import annotations

from longshore.contract import SECOND, Instant
from longshore.limits.stored import Rule
from longshore.worker.claims.shares import Asking


class Grants:
    """So many jobs may begin here, until these tokens are too old: then they are given back to the bucket.

    Times are by the process's own clock.
    """

    def __init__(self) -> None:
        self.number = 0
        self.end = float("inf")
        self.retry_at = float("-inf")

    def use(self) -> None:
        """A job was claimed."""
        self.number = max(0, self.number - 1)

    def unused(self, rule: Rule, now: float) -> None:
        """A job was handed back before it began."""
        self._set(rule, self.number + 1, now)

    def proposed(self, rule: Rule, empty: Instant, most: int, asking: Asking) -> tuple[Instant, int]:
        """The bucket, and the tokens here, when those that are too old are given back and up to ``most`` are here."""
        number = self.number
        if number and (asking.is_ending or asking.monotonic >= self.end):
            empty, number = rule.returned(empty, number), 0
        if most <= number or not self.may_take(asking):
            return empty, number
        level = rule.level(empty, asking.now)
        taken = min(level, max(most - number, level // 4))
        return (rule.taken(empty, asking.now, taken), number + taken) if taken else (empty, number)

    def may_take(self, asking: Asking) -> bool:
        """Whether there may be tokens to take, as far as is known."""
        return asking.is_claiming and (self.number > 0 or asking.monotonic >= self.retry_at)

    def become(self, rule: Rule, number: int, asking: Asking) -> None:
        """So many are here now; of those that were here before the time goes on."""
        if asking.monotonic >= self.end:
            self.number = 0
        self._set(rule, number, asking.monotonic)

    def wait(self, rule: Rule, wanted: int, now: float) -> None:
        """There are none: sleep until there will be some, and not one after the other for every trip."""
        if rule.count is not None and not self.number and now >= self.retry_at:
            self.retry_at = now + rule.filling(max(1, min(wanted, rule.size // 2))) / SECOND

    def _set(self, rule: Rule, number: int, now: float) -> None:
        if number > self.number:
            end = now + rule.keep / SECOND
            self.end = min(self.end, end) if self.number else end
        self.number = number
        if not number:
            self.end = float("inf")
