"""Who is cancelled on his way into a lock."""

from __future__ import annotations

import asyncio

import pytest

from longshore import Lock, Longshore
from longshore.guard import Guard
from worker.faulty import Line, LineDriver
from worker.gate import PATIENCE


class Pier:
    """An application for one lock: counts how often it is asked for its store, which is at the end of a line."""

    def __init__(self, app: Longshore) -> None:
        self.line = Line()
        self.asked = 0
        self._app = app

    @property
    def store(self) -> Guard:
        self.asked += 1
        return Guard(LineDriver(self._app.store.driver, self.line))


def test_he_leaves_by_the_store_that_he_came_by(app: Longshore) -> None:
    """The application may have closed it meanwhile: asked for it again, it would open another that nobody closes."""
    pier = Pier(app)

    async def work() -> None:
        entering = pier.line.hold("write")
        going = asyncio.create_task(Lock(pier, "a").aacquire())
        assert await asyncio.to_thread(entering.reached.wait, PATIENCE)
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        assert await asyncio.to_thread(app.admin.locks), "he is inside, and has not heard it"
        entering.released.set()
        async with asyncio.timeout(PATIENCE):
            while await asyncio.to_thread(app.admin.locks):  # noqa: ASYNC110 - the store has no event for it
                await asyncio.sleep(0)

    asyncio.run(work())
    assert pier.asked == 1
