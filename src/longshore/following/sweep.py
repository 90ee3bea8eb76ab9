"""What finds those whom nobody sees wait: their ender missed them, and their producer died before its own look."""

from __future__ import annotations

from typing import Final

from longshore.contract import Order, State, Where, Write
from longshore.following.follower import STEPS, Follower
from longshore.following.groups import complete_all
from longshore.guard import Guard

_KIND: Final = "sweep"
_KEY: Final = "waiting"
_PAGE: Final = 1_000


def sweep(store: Guard) -> int:
    """Looks at every sealed group, and at the next 1,000 waiting jobs; answers how many these were.

    Where it stopped is kept in a record, so that it does not matter which worker goes on.
    """
    complete_all(store)
    record = next(iter(store.read(_KIND, [_KEY])), None)
    where = Where(states=(State.WAITING,))
    after = record.value.decode() if record else None
    page = store.select(where, order=Order.OLDEST, limit=_PAGE, after=after, body=False)
    if page.jobs:
        follower = Follower(store)
        follower.look(page.jobs, now=store.now())
        follower.finish(STEPS)
    if page.after is not None or record is not None:
        store.write([Write(_KIND, _KEY, page.after.encode() if page.after is not None else None)])
    return len(page.jobs)
