"""One of the stores: opened when it answers, known by its tag, and left to rest when it does not."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Self, TypeVar

from longshore.contract import (
    EVERY,
    Answer,
    By,
    Change,
    Claim,
    Claimed,
    Clock,
    Driver,
    Features,
    Inserted,
    Instant,
    Limits,
    Listener,
    NewJob,
    Order,
    Page,
    Record,
    StoredJob,
    Where,
    Write,
)
from longshore.errors import ConfigurationError, Unavailable
from longshore.registry import driver_for
from longshore_multi.members import Member

T = TypeVar("T")
KIND: Final = "several"
TAG: Final = "tag"


class Part(Driver):
    """One of several stores, as the whole and the workers use it.

    Args:
        member: which store, and how it is known.
        options: its driver's own.
        rest: seconds for which it is not chosen after it did not answer.
        monotonic: this process's clock, in seconds.
    """

    def __init__(
        self,
        member: Member,
        *,
        clock: Clock | None,
        options: Mapping[str, Any],
        rest: float,
        monotonic: Callable[[], float],
    ) -> None:
        self.tag = member.tag
        self.weight = member.weight
        self.shown = member.shown
        self._target = member.target
        self._kind = driver_for(member.target)
        self._clock = clock
        self._options = options
        self._rest = rest
        self._monotonic = monotonic
        self._rests_until = float("-inf")
        self._driver: Driver | None = None
        # One for each process: a thread that forks may leave its child a lock that nobody will ever release.
        self._locks: dict[int, threading.Lock] = {}
        self._is_known = False
        self._migrates = False

    @property
    def features(self) -> Features:  # type: ignore[override]
        """What the connection promises; before there is one, what its driver may."""
        return self._driver.features if self._driver else self._kind.features

    @property
    def limits(self) -> Limits:  # type: ignore[override]
        """What one call may carry."""
        return self._driver.limits if self._driver else self._kind.limits

    @property
    def target(self) -> Any:
        """What reaches the same store."""
        return self._driver.target if self._driver else self._target

    @property
    def rests(self) -> bool:
        """Whether it did not answer a while ago, and is not chosen where another can be."""
        return self._monotonic() < self._rests_until

    def again(self) -> Part:
        """Another connection to the same store."""
        member = Member(self.target, self.tag, self.weight)
        part = Part(member, clock=self._clock, options=self._options, rest=self._rest, monotonic=self._monotonic)
        part._migrates = self._migrates
        return part

    @classmethod
    def connect(cls, target: Any, *, clock: Clock | None = None, **options: Any) -> Self:
        raise ConfigurationError("a part is opened by the whole: connect to that")

    def open(self) -> None:
        """Opens it now, if it answers.

        Raises:
            Unavailable: it does not.
        """
        self._ask(lambda driver: None, known=False)

    def close(self) -> None:
        if self._driver is not None:
            self._driver.close()

    def migrate(self) -> None:
        # Also when it does not answer now: then as soon as it does.
        self._migrates, self._is_known = True, False
        self.open_known()

    def open_known(self) -> None:
        """Opens it, and makes sure that it is the store that its tag says.

        Raises:
            Unavailable: it does not answer.
            ConfigurationError: it is another.
        """
        self._ask(lambda driver: None)

    def clear(self) -> None:
        self._ask(lambda driver: driver.clear())
        self._is_known = False
        if self._migrates:
            self.open_known()

    def now(self) -> Instant:
        return self._ask(lambda driver: driver.now(), known=False)

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None) -> list[Inserted]:
        return self._ask(lambda driver: driver.insert(jobs, tx=tx))

    def claim(self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None = None) -> Claimed:
        return self._ask(lambda driver: driver.claim(claims, holder=holder, limit=limit, max_bytes=max_bytes))

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        return self._ask(lambda driver: driver.update(changes, tx=tx))

    def exchange(
        self,
        changes: Sequence[Change],
        claims: Sequence[Claim],
        *,
        holder: str,
        limit: int,
        max_bytes: int | None = None,
    ) -> tuple[list[Answer], Claimed]:
        return self._ask(
            lambda driver: driver.exchange(changes, claims, holder=holder, limit=limit, max_bytes=max_bytes)
        )

    def select(
        self,
        where: Where,
        *,
        order: Order = Order.NEWEST,
        limit: int = 100,
        after: str | None = None,
        each: int | None = None,
        body: bool = True,
    ) -> Page:
        return self._ask(
            lambda driver: driver.select(where, order=order, limit=limit, after=after, each=each, body=body)
        )

    def count(self, by: By, where: Where = EVERY) -> dict[tuple[Any, ...], int]:
        return self._ask(lambda driver: driver.count(by, where))

    def delete(self, where: Where, *, limit: int = 1_000) -> list[str]:
        return self._ask(lambda driver: driver.delete(where, limit=limit))

    def read(
        self,
        kind: str,
        keys: Sequence[str] | None = None,
        *,
        prefix: str = "",
        limit: int = 1_000,
        after: str | None = None,
    ) -> list[Record]:
        return self._ask(lambda driver: driver.read(kind, keys, prefix=prefix, limit=limit, after=after))

    def write(self, writes: Sequence[Write], *, tx: Any = None) -> list[int | None]:
        return self._ask(lambda driver: driver.write(writes, tx=tx))

    def wake(self, topics: Sequence[str]) -> None:
        self._ask(lambda driver: driver.wake(topics), known=False)

    def listen(self, topics: Sequence[str]) -> Listener:
        return self._ask(lambda driver: driver.listen(topics), known=False)

    def transaction(self) -> AbstractContextManager[Any]:
        return self._ask(lambda driver: driver.transaction())

    def examined(self) -> int | None:
        return self._ask(lambda driver: driver.examined(), known=False)

    def _ask(self, call: Callable[[Driver], T], *, known: bool = True) -> T:
        try:
            answer = call(self._opened(known=known))
        except Unavailable as error:
            self._rests_until = self._monotonic() + self._rest
            raise Unavailable(f"the store {self.shown} does not answer: {error}", unknown=error.unknown) from error
        self._rests_until = float("-inf")
        return answer

    def _opened(self, *, known: bool) -> Driver:
        """The driver. What cannot be opened, or made ready, has certainly done nothing."""
        if self._driver is not None and (self._is_known or not known):
            return self._driver
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            try:
                self._driver = self._driver or self._kind.connect(self._target, clock=self._clock, **self._options)
                if known and not self._is_known:
                    self._make_known(self._driver)
                    self._is_known = True
            except Unavailable as error:
                raise Unavailable(str(error), unknown=False) from error
            return self._driver

    def _make_known(self, driver: Driver) -> None:
        if self._migrates:
            driver.migrate()
            driver.write([Write(KIND, TAG, self.tag.encode(), 0)])
        found = driver.read(KIND, [TAG])
        if found and found[0].value != self.tag.encode():
            tag = found[0].value.decode()
            raise ConfigurationError(
                f"the store {self.shown} has been known as {tag} before, and what has a name was put into it by that: "
                f"put #{tag} behind its URL"
            )
