"""Connections to a server that are kept from call to call."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import redis
from hiredis import pack_command
from redis.exceptions import ClusterDownError, MovedError, ResponseError

from longshore.errors import Closed, Unavailable

Command = Sequence[Any]

_FRESH: Final = 0.05
"""Seconds for which a connection is taken to be as it was: a look costs 5 µs, 30 after a pause, and a call without it
14. No server ends and is back sooner."""


class Lines:
    """The connections of a process to a server, each used by one thread at a time.

    redis-py takes one out of its pool and puts it back around each command, which costs more than all else that it does
    for it. These stay out until they break; each command is sent once.

    Args:
        client: whose pool they are of.
        place: how it is called in errors.
        replicas: how many must have what was written before it is answered.
        patience: seconds to wait for them.
    """

    def __init__(
        self,
        client: redis.Redis,
        place: str,
        replicas: int,
        patience: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._place = place
        self._replicas = replicas
        self._patience = patience
        self._process = os.getpid()
        self._monotonic = monotonic
        self._is_closed = False
        self._free: list[tuple[Any, float]] = []  # Each with the time when it was used.

    def close(self) -> None:
        """Gives out no more connections: whose they are may go on with them."""
        self._is_closed = True

    def call(self, *command: Any) -> Any:
        """What the server answers."""
        return self._called([command])[0]

    def write(self, *command: Any) -> Any:
        """The same of a command that writes: what it, and others before it, has written is on the replicas then.

        Raises:
            Unavailable: it is not, in time.
        """
        if not self._replicas:
            return self._called([command])[0]
        # WAIT speaks of what its own connection has seen, and that includes what others wrote before.
        answer, reached = self._called([command, ("WAIT", self._replicas, round(self._patience * 1_000))])
        if reached < self._replicas:
            few = f"{reached} of {self._replicas} replicas have what was written after {self._patience:g} s"
            raise Unavailable(f"{self._place}: {few}")
        return answer

    def _called(self, commands: Sequence[Command]) -> list[Any]:
        line = self._taken()
        try:
            answers = []
            for command in commands:
                # Packed here: redis-py looks at each word of a command in Python, which takes as long as all else.
                line.send_packed_command((pack_command(tuple(command)),), check_health=False)
                answers.append(line.read_response())
        except (MovedError, ClusterDownError):
            # A node that does not hold the slot has run nothing; a client of a Cluster follows, another says it again.
            gone, self._free = [line, *(free for free, _ in self._free)], []
            for each in gone:
                self._let_go(each)
            with self._client.client() as follower:  # type: ignore[no-untyped-call]
                return [follower.execute_command(*command) for command in commands]
        except ResponseError:
            self._free.append((line, self._monotonic()))
            raise
        except BaseException:
            self._let_go(line)
            raise
        self._free.append((line, self._monotonic()))
        return answers

    def _taken(self) -> Any:
        if self._is_closed:
            raise Closed(f"the driver of {self._place} was closed: connect again")
        if self._process != os.getpid():  # A child must not use its parent's.
            self._free, self._process = [], os.getpid()
        while self._free:
            try:
                line, used = self._free.pop()
            except IndexError:
                break  # Another thread was faster.
            if self._monotonic() - used < _FRESH or self._is_sound(line):
                return line
            self._let_go(line)
        return self._client.connection_pool.get_connection()

    def _is_sound(self, line: Any) -> bool:
        """Whether the server has neither closed it nor said anything unasked, and it still is the one that is meant."""
        try:
            return not line.can_read() and bool(self._client.connection_pool.owns_connection(line))
        except (redis.exceptions.RedisError, OSError):
            return False

    def _let_go(self, line: Any) -> None:
        line.disconnect()
        self._client.connection_pool.release(line)
