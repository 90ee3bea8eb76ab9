"""What is given as ``tx``: the application's own transaction, on an event loop or off it."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, Final, TypeVar

from longshore.errors import InvalidValue

T = TypeVar("T")

_AWAITED: Final = ("commit", "commit_transaction", "execute")
"""What is awaited of an asynchronous connection; one of these is there in every library."""


def check_synchronous(tx: object) -> None:
    """Refuses a handle of an event loop where nothing is awaited.

    Raises:
        InvalidValue: it is one.
    """
    if _runs_sync(tx):
        raise InvalidValue(
            f"expected a synchronous connection or session as tx, got {_shown(tx)}: await the method whose name "
            "begins with an a, as in `await app.aenqueue(call, tx=session)`"
        )
    if _is_asynchronous(tx):
        raise InvalidValue(f"expected a synchronous connection or session as tx, got {_shown(tx)}: {_ADAPTED}")


async def within(tx: Any, function: Callable[[Any], T]) -> T:
    """What a function gives that is called with a synchronous view of an asynchronous transaction, on its event loop.

    Args:
        tx: what has SQLAlchemy's ``run_sync``.
        function: may use what it is given in whatever is synchronous; the loop goes on while the database works.

    Raises:
        InvalidValue: it is no such transaction.
    """
    if _runs_sync(tx):
        found: T = await tx.run_sync(function)
        return found
    if _is_asynchronous(tx):
        raise InvalidValue(
            f"expected an asynchronous connection or session of SQLAlchemy's, got {_shown(tx)}: {_ADAPTED}"
        )
    raise InvalidValue(
        f"expected an asynchronous connection or session as tx, got {_shown(tx)}: leave out the a, as in "
        "`app.enqueue(call, tx=session)`, in the thread that the transaction belongs to"
    )


_ADAPTED: Final = (
    "it cannot be joined. Open it by SQLAlchemy's create_async_engine, and give its AsyncConnection or AsyncSession to "
    "a method whose name begins with an a, as in `await app.aenqueue(call, tx=session)`"
)


def _runs_sync(tx: object) -> bool:
    return iscoroutinefunction(getattr(tx, "run_sync", None))


def _is_asynchronous(tx: object) -> bool:
    return any(iscoroutinefunction(getattr(tx, name, None)) for name in _AWAITED)


def _shown(tx: object) -> str:
    return f"{type(tx).__module__}.{type(tx).__qualname__}"
