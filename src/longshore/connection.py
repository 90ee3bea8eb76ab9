"""Where an application's jobs are, and the store there: opened when it is first needed, and again in a forked child."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from longshore import registry
from longshore.contract import Clock, Driver, Features
from longshore.errors import Unavailable
from longshore.guard import DEFAULT_MAX_PAYLOAD, Guard
from longshore.telling import Post
from longshore.totals import note_first_use

_PAUSE: Final = 0.2
"""Seconds between two attempts to reach a store."""


class Connection:
    """An application's store, of which each process opens its own.

    Args:
        target: a URL, or a live handle of the store's library, which is never closed.
        require: features without which the application does not want to run.
        max_payload: bytes of the largest arguments or result.
        migrate: whether the store's schema is created and brought up to date when it is opened.
        patience: seconds for which calls are repeated while the store is away.
        clock: a test clock in place of the store's.
        options: the driver's own.
        guard: what stands around the driver.
    """

    def __init__(
        self,
        target: Any,
        *,
        require: Features = registry.NOTHING,
        max_payload: int = DEFAULT_MAX_PAYLOAD,
        migrate: bool = True,
        patience: float = 10.0,
        clock: Clock | None = None,
        options: Mapping[str, Any],
        guard: Callable[..., Guard] = Guard,
    ) -> None:
        self._target = target
        self._require = require
        self._max_payload = max_payload
        self._migrate = migrate
        self._patience = patience
        self._clock = clock
        self._options = options
        self._guard = guard
        self._locks: dict[int, threading.Lock] = {}
        self._posts: dict[int, Post] = {}
        self._parts: dict[int, list[PartConnection]] = {}
        self._store: Guard | None = None
        self._store_pid = 0

    def __repr__(self) -> str:
        return registry.without_password(self._target)

    @property
    def target(self) -> Any:
        """Where it is, as it was given."""
        return self._target

    @property
    def store(self) -> Guard:
        """The store, opened now if it was not before."""
        if self._store is None or self._store_pid != os.getpid():
            with self._lock():
                if self._store is None or self._store_pid != os.getpid():
                    self._store = self._open()
                    self._store_pid = os.getpid()
        return self._store

    def another_store(self) -> Guard:
        """Another connection to the same store, whose calls are not repeated."""
        driver = self.store.driver
        again = self._reached(lambda: type(driver).connect(driver.target, clock=self._clock, **self._options))
        store = Guard(again, patience=0.0, max_payload=self._max_payload)
        store.heed_seal()
        return store

    @property
    def parts(self) -> Sequence[PartConnection]:
        """The same to each of the stores that it is made of; none where it is one."""
        store = self.store
        pid = os.getpid()
        if len(store.driver.parts) > 1 and pid not in self._parts:
            guarded = partial(Guard, max_payload=self._max_payload)
            at_once = partial(guarded, patience=0.0, whole=Guard(store.driver, patience=0.0))
            self._parts[pid] = [
                PartConnection(guarded(part, patience=self._patience, whole=store), at_once)
                for part in store.driver.parts
            ]
        return self._parts.get(pid, ())

    @property
    def post(self) -> Post:
        """What stores what runs tell in this process."""
        return self._posts.get(os.getpid()) or self._posts.setdefault(os.getpid(), Post(lambda: self.store))

    def close(self) -> None:
        """Closes the store, unless a live handle was handed in."""
        if os.getpid() in self._posts:
            self.post.close()
        for part in self._parts.pop(os.getpid(), ()):
            part.close()
        with self._lock():
            if self._store is not None and self._store_pid == os.getpid():
                self._store.close()
            self._store = None

    def use(self, target: Any) -> None:
        """Another store from now on."""
        self.close()
        self._target = target

    def elsewhere(
        self, target: Any, *, clock: Clock | None, guard: Callable[..., Guard], options: Mapping[str, Any]
    ) -> Connection:
        """One to another store, where the same is allowed; that store need not promise what this one must."""
        return Connection(
            target,
            max_payload=self._max_payload,
            patience=self._patience,
            clock=clock,
            options=options,
            guard=guard,
        )

    def _open(self) -> Guard:
        driver = self._reached(
            lambda: registry.connect(self._target, clock=self._clock, require=self._require, **self._options)
        )
        store = self._guard(driver, patience=self._patience, max_payload=self._max_payload)
        try:
            store.heed_seal()
            if self._migrate:
                store.migrate()
                note_first_use(store)
        except BaseException:
            driver.close()
            raise
        return store

    def _reached(self, connect: Callable[[], Driver]) -> Driver:
        """Connects; where the store is away, again, for as long as its calls are repeated."""
        ends = time.monotonic() + self._patience
        while True:
            try:
                return connect()
            except Unavailable:
                wait = random.uniform(0.5, 1.5) * _PAUSE
                if time.monotonic() + wait > ends:
                    raise
            time.sleep(wait)

    def _lock(self) -> threading.Lock:
        # One for each process: a thread that was left behind by a fork would never give the parent's back.
        return self._locks.setdefault(os.getpid(), threading.Lock())


class PartConnection:
    """One of several stores that an application's store is made of.

    Args:
        store: it, on the connection that the whole has.
        guarded: guards another connection to it.
    """

    def __init__(self, store: Guard, guarded: Callable[[Driver], Guard]) -> None:
        self.store = store
        self.post = Post(lambda: store)
        self._guarded = guarded

    def another_store(self) -> Guard:
        """Another connection to it, whose calls are not repeated."""
        return self._guarded(self.store.driver.again())

    def close(self) -> None:
        """Stores what runs have told; the store is closed with the whole."""
        self.post.close()
