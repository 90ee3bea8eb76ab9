"""Longshore on Redis and Valkey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Self

from msgspec import msgpack

from longshore import reference
from longshore.contract import (
    EVERY,
    HELD,
    SECOND,
    Answer,
    By,
    Change,
    Claim,
    Claimed,
    Clock,
    Driver,
    Features,
    Inserted,
    Insertion,
    Instant,
    Limits,
    Listener,
    NewJob,
    Order,
    Outcome,
    Page,
    Record,
    State,
    StoredJob,
    Where,
    Write,
)
from longshore.errors import Unsupported
from longshore_redis import scripts
from longshore_redis.asking import Questions
from longshore_redis.asks import Arguments, changes_asked, claims_asked, insert_asked
from longshore_redis.ears import Ears
from longshore_redis.failures import translated
from longshore_redis.layout import seen
from longshore_redis.lines import Lines
from longshore_redis.options import Options
from longshore_redis.servers import beside, opened, promised, shut

_OUTCOMES: Final = (Outcome.MOVED, Outcome.REPEATED, Outcome.REFUSED, Outcome.HELD)
_STATES: Final = (None, *State)
_INSERTED: Final = {int(state): Inserted(Insertion.INSERTED, state) for state in State}
_CLEARED: Final = 500
_NONE: Final = -1
"""Stands for a number that is not there."""
_REPLICAS_PATIENCE: Final = 5.0
"""Seconds to wait for replicas, at most."""


class RedisDriver(Driver):
    """A connection to a Redis or Valkey server, 6.2 or newer.

    Takes ``redis://[user:password@]host:port/database``, ``unix:///path?db=0``,
    ``redis+sentinel://host,host2/service/0`` and ``redis+cluster://host,host2``, with ``rediss`` for TLS; or a live
    ``redis.Redis`` (also one that ``Sentinel.master_for`` made) or ``redis.RedisCluster``, whose settings are used for
    connections of our own and which is never closed. Options: ``namespace``; ``timeout``, the seconds to wait for an
    answer; ``wait_replicas``, how many replicas must have a write before it is answered; see docs/redis.md for all.
    """

    handles = ("redis.client.Redis", "redis.cluster.RedisCluster")
    features = Features.DURABLE | Features.SHARED | Features.WAKEUPS | Features.ONE_PLACE
    limits = Limits()

    def __init__(self, target: Any, options: Options, clock: Clock | None) -> None:
        self._root = f"{{longshore:{options.namespace}}}:"
        is_url = options.topology is not None
        self.target = options.target if is_url else target
        self._client, self._place = opened(options, self._root) if is_url else beside(target, self._root)
        self._clock = clock
        patience = min(_REPLICAS_PATIENCE, options.timeout / 2 or _REPLICAS_PATIENCE)
        self._lines = Lines(self._client, self._place, options.wait_replicas, patience)
        self._questions = Questions(self._run)
        self._ears = Ears(self._client, self._root)
        self._examined = 0

    @classmethod
    def connect(cls, target: Any, *, clock: Clock | None = None, **options: Any) -> Self:
        driver = cls(target, Options.of(target, options), clock)
        try:
            driver.features = promised(driver._client, driver._place)
        except BaseException:
            driver.close()
            raise
        return driver

    def close(self) -> None:
        self._lines.close()
        self._ears.close()
        shut(self._client)

    def migrate(self) -> None:
        self._write("migrate")

    def clear(self) -> None:
        kept = {f"{self._root}{name}".encode() for name in ("meta", "version")}
        with translated(self._place):
            self._client.exists(self._root)  # Any node of a Cluster answers SCAN; the one that has the keys is meant.
            cursor: Any = None
            while cursor != 0:
                cursor, found = self._client.scan(cursor or 0, match=f"{self._root}*", count=_CLEARED)
                if gone := [key for key in found if key not in kept]:
                    self._client.unlink(*gone)

    def now(self) -> Instant:
        if self._clock is not None:
            return self._clock()
        with translated(self._place):
            seconds, microseconds = self._lines.call("TIME")
        return int(seconds) * SECOND + int(microseconds)

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None) -> list[Inserted]:
        _refuse(tx)
        if not jobs:
            return []
        return [_inserted(answer) for answer in self._write("insert", *insert_asked(jobs))]

    def claim(self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None = None) -> Claimed:
        return self._claimed(self._write("claim", claims_asked(claims, holder, limit, max_bytes)))

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        _refuse(tx)
        if not changes:
            return []
        arguments = Arguments(3)
        asked = changes_asked(changes, arguments)
        answers, examined = self._write("update", asked, *arguments.values)
        self._examined += examined
        return _answers(answers)

    def exchange(
        self,
        changes: Sequence[Change],
        claims: Sequence[Claim],
        *,
        holder: str,
        limit: int,
        max_bytes: int | None = None,
    ) -> tuple[list[Answer], Claimed]:
        arguments = Arguments(4)
        asked = changes_asked(changes, arguments), claims_asked(claims, holder, limit, max_bytes)
        answers, claimed = self._write("exchange", *asked, *arguments.values)
        return _answers(answers), self._claimed(claimed)

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
        return self._questions.page(where, order, limit, after, each, body=body)

    def count(self, by: By, where: Where = EVERY) -> dict[tuple[Any, ...], int]:
        if by in {By.QUEUE_STATE, By.QUEUE_TASK_STATE}:
            return self._count_jobs(by, where)
        if where.queues is not None or where.tasks is not None or (by is By.HOLDER and where.states is not None):
            return self._count_one_by_one(by, where)
        if by is By.HOLDER:
            names = [where.holder] if where.holder is not None else []
            return {(name.decode(),): count for name, count in self._tallied("holders", names)}
        groups = where.groups if where.groups is not None else ()
        if where.groups is not None and not groups:
            return {}
        names = [f"{group}\0{int(state)}" for group in groups for state in State]
        counts = {}
        for name, count in self._tallied("groups", names):
            group, _, state = name.decode().partition("\0")
            if where.states is None or State(int(state)) in where.states:
                counts[group, State(int(state))] = count
        return counts

    def _count_jobs(self, by: By, where: Where) -> dict[tuple[Any, ...], int]:
        counts: Counter[tuple[Any, ...]] = Counter()
        for name, count in self._tallied("jobs", []):
            queue, task, state = name.decode().split("\0")
            asked = ((where.queues, queue), (where.tasks, task), (where.states, int(state)))
            if all(wanted is None or value in wanted for wanted, value in asked):
                parts = (queue, State(int(state))) if by is By.QUEUE_STATE else (queue, task, State(int(state)))
                counts[parts] += count
        return dict(counts)

    def _count_one_by_one(self, by: By, where: Where) -> dict[tuple[Any, ...], int]:
        counts: Counter[tuple[Any, ...]] = Counter()
        for found in self._questions.walk(where):
            for job in (one.job for one in found.jobs):
                is_counted = job.state in HELD if by is By.HOLDER else job.group is not None
                if is_counted and reference.matches(job, where, found.now):
                    counts[tuple(getattr(job, part) for part in by.value)] += 1
        return dict(counts)

    def _tallied(self, tally: str, names: Sequence[str]) -> list[tuple[bytes, int]]:
        found = self._run("count", tally, *names)
        return [(found[at], int(found[at + 1])) for at in range(0, len(found), 2)]

    def delete(self, where: Where, *, limit: int = 1_000) -> list[str]:
        gone: list[str] = []
        for found in self._questions.walk(where):
            free = [
                one
                for one in sorted(found.jobs, key=lambda one: (one.job.created, one.job.id.encode()))
                if reference.matches(one.job, where, found.now) and reference.is_deletable(one.job, found.now)
            ]
            chosen = free[: limit - len(gone)]
            if chosen:
                pairs = [part for one in chosen for part in (one.job.id, one.head)]
                gone += [name.decode() for name in self._write("delete", *pairs)]
            if len(gone) >= limit:
                break
        return gone

    def read(
        self,
        kind: str,
        keys: Sequence[str] | None = None,
        *,
        prefix: str = "",
        limit: int = 1_000,
        after: str | None = None,
    ) -> list[Record]:
        start, last = prefix.encode(), after.encode() if after is not None else b""
        wanted: bytes | str = ""
        if keys is not None:
            wanted = msgpack.encode(sorted((key for key in set(keys) if key.encode() > last), key=str.encode))
        least = b"(" + last if last >= start and last else b"[" + start if start else b"-"
        # No UTF-8 holds this byte, so it stands behind every key with the prefix.
        found = self._run("read", kind, wanted, limit, least, b"[" + start + b"\xff" if start else b"+")
        return [_record(kind, found[at], found[at + 1]) for at in range(0, len(found), 2)]

    def write(self, writes: Sequence[Write], *, tx: Any = None) -> list[int | None]:
        _refuse(tx)
        if not writes:
            return []
        asked = [
            (write.kind, write.key, _number(write.version), _number(write.lifetime), write.value is None)
            for write in writes
        ]
        versions = self._write("write", msgpack.encode(asked), *(write.value or b"" for write in writes))
        return [None if version == _NONE else version for version in versions]

    def wake(self, topics: Sequence[str]) -> None:
        with translated(self._place):
            for topic in topics:
                self._lines.call("PUBLISH", f"{self._root}wake:{topic}", b"")

    def listen(self, topics: Sequence[str]) -> Listener:
        if not self._ears.is_of_this_process():
            self._ears = Ears(self._client, self._root)
        with translated(self._place):
            return self._ears.listen(topics)

    def examined(self) -> int | None:
        return self._examined

    def _run(self, name: str, *arguments: Any) -> Any:
        with translated(self._place):
            return scripts.run(self._lines.call, name, self._root, self._time(), *arguments)

    def _write(self, name: str, *arguments: Any) -> Any:
        with translated(self._place):
            return scripts.run(self._lines.write, name, self._root, self._time(), *arguments)

    def _time(self) -> Instant | str:
        return self._clock() if self._clock is not None else ""

    def _claimed(self, answer: Any) -> Claimed:
        jobs, expired, due, examined = answer
        self._examined += examined
        return Claimed(
            [seen(jobs[at], jobs[at + 1]).job for at in range(0, len(jobs), 2)],
            [name.decode() for name in expired],
            None if int(due) == _NONE else int(due),
        )


def _refuse(tx: Any) -> None:
    if tx is not None:
        raise Unsupported(
            "Redis has no transactions that could be rolled back; leave out tx, or enqueue after your commit"
        )


def _inserted(answer: Any) -> Inserted:
    if isinstance(answer, int):
        return _INSERTED[answer]
    if len(answer) == 1:
        return Inserted(Insertion.HELD, held_by=answer[0].decode() or None)
    state, task, digest = answer
    return Inserted(Insertion.REPEATED, State(state), task=task.decode(), digest=digest)


def _answers(packed: bytes) -> list[Answer]:
    return [Answer(_OUTCOMES[outcome - 1], _STATES[state], *rest) for outcome, state, *rest in msgpack.decode(packed)]


def _number(value: int | None) -> int:
    return _NONE if value is None else value


def _record(kind: str, key: bytes, value: bytes) -> Record:
    version, expires = int.from_bytes(value[:8], signed=True), int.from_bytes(value[8:16], signed=True)
    return Record(kind, key.decode(), value[16:], version, None if expires == _NONE else expires)
