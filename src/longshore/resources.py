"""What tasks work with, given to the application once and fetched by its type: a pool, configuration, a client."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeVar

from longshore.errors import ConfigurationError, MissingResource

T = TypeVar("T")
Factory = Callable[[], AbstractContextManager[Any]]


class Resources:
    """The resources of an application, one of each type. Thread-safe.

    What is added is the same object everywhere, also in forked children. What is managed is opened by each process for
    itself: when its first worker starts, or when it is first asked for; and closed, in reverse order, when its last
    worker has stopped, or the application is closed.
    """

    def __init__(self) -> None:
        self._values: dict[type, Any] = {}
        self._factories: dict[type, Factory] = {}
        self._by_process: dict[int, _Opened] = {}

    def add(self, value: T, kind: type[T] | None = None) -> None:
        """Gives an object, to be fetched by its type, or by ``kind``, which may be a type that it is used as.

        Raises:
            ConfigurationError: there is one of this type.
        """
        kind = kind or type(value)
        self._check_free(kind)
        self._values[kind] = value

    def manage(self, kind: type[T], factory: Callable[[], AbstractContextManager[T]]) -> None:
        """Has each process open a resource for itself: ``factory`` gives a context manager, which gives the object.

        A class whose objects are such is a factory; one whose objects are only closed is wrapped by
        ``contextlib.closing``.

        Raises:
            ConfigurationError: there is one of this type.
        """
        self._check_free(kind)
        self._factories[kind] = factory

    def remove(self, kind: type) -> None:
        """Takes a resource away, so that another of its type can be given; one that is open is closed with the others.

        Raises:
            MissingResource: there is none of this type.
        """
        if kind not in self._values and kind not in self._factories:
            raise self._missing(kind)
        self._values.pop(kind, None)
        self._factories.pop(kind, None)
        self._opened.forget(kind)

    def of(self, kind: type[T]) -> T:
        """The resource of a type, opened now if it was not before.

        Raises:
            MissingResource: none was given.
        """
        if kind in self._values:
            value: T = self._values[kind]
            return value
        if kind not in self._factories:
            raise self._missing(kind)
        opened: T = self._opened.get(kind, self._factories[kind])
        return opened

    @contextmanager
    def held(self) -> Iterator[None]:
        """Has all of them open until the end of the block, and of all such blocks in this process."""
        opened = self._opened
        opened.begin_use(list(self._factories.items()))
        try:
            yield
        finally:
            opened.end_use()

    def close(self) -> None:
        """Closes what this process has opened; what is asked for later is opened anew."""
        self._opened.close()

    @property
    def _opened(self) -> _Opened:
        # What a parent opened is not a forked child's, neither to use nor to close, and nor is a lock of it.
        return self._by_process.setdefault(os.getpid(), _Opened())

    def _check_free(self, kind: type) -> None:
        if kind in self._values or kind in self._factories:
            raise ConfigurationError(
                f"there is a resource of the type {kind.__qualname__} already: give the other one a type of its own by "
                "kind=, or remove the first"
            )

    def _missing(self, kind: type) -> MissingResource:
        known = ", ".join(sorted(each.__qualname__ for each in [*self._values, *self._factories])) or "none"
        return MissingResource(
            f"no resource of the type {kind.__qualname__} was given to the application; there are: {known}. Give it by "
            "app.resources.add(…), or app.resources.manage(…)"
        )


class _Opened:
    """What one process has opened."""

    def __init__(self) -> None:
        # To be taken twice by a thread: what opens one resource may ask for another.
        self._lock = threading.RLock()
        self._values: dict[type, Any] = {}
        self._stack = ExitStack()
        self._users = 0

    def get(self, kind: type, factory: Factory) -> Any:
        with self._lock:
            if kind not in self._values:
                manager: object = factory()
                if not isinstance(manager, AbstractContextManager):
                    raise ConfigurationError(
                        f"what opens the resource {kind.__qualname__} must give a context manager; it gave a "
                        f"{type(manager).__qualname__}: wrap it by contextlib.closing or contextlib.nullcontext"
                    )
                self._values[kind] = self._stack.enter_context(manager)
            return self._values[kind]

    def forget(self, kind: type) -> None:
        with self._lock:
            self._values.pop(kind, None)

    def begin_use(self, factories: list[tuple[type, Factory]]) -> None:
        with self._lock:
            self._users += 1
            try:
                for kind, factory in factories:
                    self.get(kind, factory)
            except BaseException:
                self.end_use()
                raise

    def end_use(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self.close()

    def close(self) -> None:
        with self._lock:
            self._values.clear()
            self._stack.close()
