"""What is asked at the same time goes in one call; what is asked while it is under way waits for the next one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from longshore.aio import Gatherer
from longshore.errors import Unavailable

LONG = 30.0


class Asked:
    """Answers when it is let go, and notes what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def __call__(self, questions: Sequence[int]) -> list[int | Exception]:
        self.calls.append(list(questions))
        self.begun.release()
        assert self.go.acquire(timeout=LONG)
        return [ValueError(str(number)) if number < 0 else 2 * number for number in questions]

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=LONG)


def test_what_comes_in_one_turn_of_the_loop_goes_at_once_and_what_comes_meanwhile_goes_next() -> None:
    async def main() -> None:
        asked = Asked()
        gatherer = Gatherer(asked)
        first = [asyncio.ensure_future(gatherer(number)) for number in (1, 2)]
        await asked.has_begun()
        later = [asyncio.ensure_future(gatherer(number)) for number in (3, 4, 5)]
        await asyncio.sleep(0)
        asked.go.release(2)
        assert await asyncio.gather(*first, *later) == [2, 4, 6, 8, 10]
        assert asked.calls == [[1, 2], [3, 4, 5]]

    asyncio.run(main())


def test_an_error_is_the_one_s_who_asked() -> None:
    async def main() -> None:
        asked = Asked()
        asked.go.release()
        gatherer = Gatherer(asked)
        answers = await asyncio.gather(*map(gatherer, (1, -1, 2)), return_exceptions=True)
        assert (answers[0], str(answers[1]), answers[2]) == (2, "-1", 4)

    asyncio.run(main())


def test_who_is_cancelled_in_time_is_left_out_and_who_is_cancelled_later_disturbs_nobody() -> None:
    async def main() -> None:
        asked = Asked()
        gatherer = Gatherer(asked)
        under_way, beside = asyncio.ensure_future(gatherer(1)), asyncio.ensure_future(gatherer(2))
        await asked.has_begun()
        waiting, behind = asyncio.ensure_future(gatherer(3)), asyncio.ensure_future(gatherer(4))
        await asyncio.sleep(0)
        under_way.cancel()
        waiting.cancel()
        asked.go.release(2)
        assert await asyncio.gather(beside, behind) == [4, 8]
        assert asked.calls == [[1, 2], [4]]

    asyncio.run(main())


def test_when_the_call_fails_each_gets_an_error_of_its_own() -> None:
    def fail(questions: Sequence[int]) -> list[int | Exception]:
        raise Unavailable("gone", unknown=False)

    async def main() -> None:
        gatherer = Gatherer(fail)
        one, other = await asyncio.gather(gatherer(1), gatherer(2), return_exceptions=True)
        assert isinstance(one, Unavailable)
        assert (one.unknown, str(one), one is other) == (False, "gone", False)

    asyncio.run(main())
