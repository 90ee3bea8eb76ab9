"""When SQLAlchemy and Django have committed: for what is to be done then, and not if they roll back.

Entry points of the group ``longshore.commits`` name `of_sqlalchemy` and `of_django`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

from longshore.errors import InvalidValue

T = TypeVar("T")
_KEY: Final = "longshore.commits"


def of_sqlalchemy(handle: Any, kept: T, store: Callable[[list[T]], None], /) -> None:
    """Calls ``store`` with what is kept on a ``Session`` or ``AsyncSession``, or one of the scoped ones, when its
    transaction has committed; what it raises is raised by the commit."""
    session = _session(handle)
    if _KEY not in session.info:
        session.info[_KEY] = _Commits(session)
    session.info[_KEY].keep(session, kept, store)


def of_django(handle: Any, kept: T, store: Callable[[list[T]], None], /) -> None:
    """Calls ``store`` when a connection of Django's has committed; Django logs what it raises, and goes on to whatever
    else is to be done then. Outside of a transaction it is called at once."""
    if handle.get_autocommit() and not handle.in_atomic_block:
        store([kept])
    else:
        handle.on_commit(lambda: store([kept]), robust=True)


class _Commits:
    """What one session is to do when it has committed, by the transaction or savepoint that this depends on."""

    def __init__(self, session: Session) -> None:
        self._kept: dict[SessionTransaction, list[tuple[Any, Callable[[list[Any]], None]]]] = {}
        self._committed: SessionTransaction | None = None
        event.listen(session, "after_commit", self._has_committed)
        event.listen(session, "after_transaction_end", self._has_ended)

    def keep(self, session: Session, kept: Any, store: Callable[[list[Any]], None]) -> None:
        """Keeps something until what the session is in has ended."""
        if not session.in_transaction():
            session.begin()  # As its first statement would.
        innermost = _innermost(session)
        assert innermost is not None
        self._kept.setdefault(innermost, []).append((kept, store))

    def _has_committed(self, session: Session) -> None:
        self._committed = _innermost(session)

    def _has_ended(self, session: Session, transaction: SessionTransaction) -> None:
        # Not before: until then the session holds its connection, and could not be used after an error.
        kept = self._kept.pop(transaction, [])
        committed, self._committed = self._committed, None
        if not kept or transaction is not committed:
            return
        outer = _enclosing(transaction)
        if outer is not None:
            self._kept.setdefault(outer, []).extend(kept)
            return
        for store in dict.fromkeys(store for _, store in kept):
            _call(store, [one for one, its in kept if its is store])


def _session(handle: Any) -> Session:
    for name in ("registry", "sync_session"):
        inner = getattr(handle, name, None)
        if inner is not None:
            handle = inner() if name == "registry" else inner
    if isinstance(handle, Session):
        return handle
    raise InvalidValue(
        f"expected a Session or AsyncSession of SQLAlchemy's, got {type(handle).__qualname__}, of which nobody is told "
        "when it has committed: keep the calls in a list, and give them to enqueue_many after the commit"
    )


def _innermost(session: Session) -> SessionTransaction | None:
    return session.get_nested_transaction() or session.get_transaction()


def _enclosing(transaction: SessionTransaction) -> SessionTransaction | None:
    """The savepoint or the transaction around a savepoint."""
    outer = transaction.parent
    while outer is not None and not outer.nested and outer.parent is not None:
        outer = outer.parent
    return outer


def _is_awaited() -> bool:
    try:
        return in_greenlet()
    except ImportError:  # Without greenlet nothing of SQLAlchemy's is asynchronous.
        return False


def _call(store: Callable[[list[T]], None], kept: list[T]) -> None:
    if not _is_awaited():
        store(kept)
        return
    import asyncio

    # The event loop, on which an asynchronous session commits, goes on meanwhile.
    await_only(asyncio.to_thread(store, kept))
