"""What is stored of a lock: who is inside, and who waits, in the order of coming."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from longshore.contract import HELD, Instant, Where, Write
from longshore.errors import StoreError
from longshore.guard import Guard

KIND: Final = "lock"
_log = logging.getLogger("longshore.locks")


class Run(Struct, frozen=True):
    """The run of a job that a hold is bound to."""

    job: str
    generation: int
    holder: str


class Hold(Struct, frozen=True):
    """Somebody is inside, until a moment or as long as a run is on."""

    owner: str
    since: Instant
    until: Instant | None = None
    run: Run | None = None


class Ticket(Struct, frozen=True):
    """Somebody waits, and would come in where fewer than ``holders`` are inside or before."""

    owner: str
    until: Instant
    holders: int


class LockRecord(Struct, frozen=True):
    """The holds and tickets of one name, in the order of coming."""

    holds: tuple[Hold, ...] = ()
    tickets: tuple[Ticket, ...] = ()

    def hold_of(self, owner: str) -> Hold | None:
        """The hold of an owner."""
        return next((hold for hold in self.holds if hold.owner == owner), None)

    def before(self, owner: str) -> tuple[Ticket, ...]:
        """The tickets of those who came before an owner; all, if it has none."""
        owners = [ticket.owner for ticket in self.tickets]
        return self.tickets[: owners.index(owner)] if owner in owners else self.tickets

    def without(self, owner: str) -> LockRecord:
        """The same without an owner's hold and ticket."""
        return LockRecord(
            tuple(hold for hold in self.holds if hold.owner != owner),
            tuple(ticket for ticket in self.tickets if ticket.owner != owner),
        )

    def entrants(self) -> list[str]:
        """Who waits and may come in."""
        inside = len(self.holds)
        return [ticket.owner for place, ticket in enumerate(self.tickets) if inside + place < ticket.holders]


class Seen(Struct, frozen=True):
    """A lock as it stood at a moment by the store's clock, without what was over."""

    record: LockRecord
    version: int
    now: Instant


def look(store: Guard, name: str) -> Seen:
    """The lock as it stands now."""
    stored = store.read(KIND, [name])
    # After the record: what is over by then stays over.
    now = store.now()
    if not stored:
        return Seen(LockRecord(), 0, now)
    record = msgspec.json.decode(stored[0].value, type=LockRecord)
    return Seen(living(record, now, runs_on(store, [record])), stored[0].version, now)


def runs_on(store: Guard, records: Iterable[LockRecord]) -> frozenset[Run]:
    """The runs that these locks are bound to and that are on; asks for nothing where none is."""
    runs = {hold.run.job for record in records for hold in record.holds if hold.run}
    jobs = store.each(Where(ids=sorted(runs)), body=False) if runs else iter(())
    return frozenset(Run(job.id, job.generation, job.holder or "") for job in jobs if job.state in HELD)


def living(record: LockRecord, now: Instant, runs: frozenset[Run]) -> LockRecord:
    """The record without what is over."""
    return LockRecord(
        tuple(hold for hold in record.holds if (hold.until is None or hold.until > now) and _is_on(hold, runs)),
        tuple(ticket for ticket in record.tickets if ticket.until > now),
    )


def _is_on(hold: Hold, runs: frozenset[Run]) -> bool:
    return hold.run is None or hold.run in runs


def put(store: Guard, name: str, seen: Seen, record: LockRecord) -> int | None:
    """Writes the lock, if it stands as it was seen; gives the new version, or None."""
    if not (ends := ends_of(record.holds, record.tickets)):
        return store.write([Write(KIND, name, None, seen.version)])[0]
    lasting = [end for end in ends if end is not None]
    lifetime = max(lasting) - seen.now if len(lasting) == len(ends) else None
    return store.write([Write(KIND, name, msgspec.json.encode(record), seen.version, lifetime)])[0]


def ends_of(holds: Iterable[Hold], tickets: Iterable[Ticket]) -> list[Instant | None]:
    """When each of them is over; None: when its run is."""
    return [*(hold.until for hold in holds), *(ticket.until for ticket in tickets)]


def leave(store: Guard, name: str, owner: str) -> bool:
    """Ends an owner's hold or ticket, and wakes who may come in; whether there was one."""
    was_there = False
    while True:
        seen = look(store, name)
        after = seen.record.without(owner)
        if after == seen.record:
            # A write that was answered with nothing may have taken effect all the same.
            return was_there
        was_there = True
        if put(store, name, seen, after) is not None:
            call_in(store, name, after)
            return True


def call_in(store: Guard, name: str, record: LockRecord) -> None:
    """Wakes who waits and may come in."""
    topics = [lock_topic(name, owner) for owner in record.entrants()]
    try:
        if topics:
            store.wake(topics)
    except StoreError as error:
        _log.warning("nobody was woken, who waits looks by itself: %s", error)


def lock_topic(name: str, owner: str) -> str:
    """What is woken when this owner may come in."""
    return f"lock:{name}:{owner}"


def entered(record: LockRecord, hold: Hold) -> LockRecord:
    """The record with somebody inside who may have waited before."""
    others = record.without(hold.owner)
    return replace(others, holds=(*others.holds, hold))


def waiting(record: LockRecord, ticket: Ticket) -> LockRecord:
    """The record with somebody's ticket, at the end, or renewed where it is."""
    owners = [other.owner for other in record.tickets]
    if ticket.owner not in owners:
        return replace(record, tickets=(*record.tickets, ticket))
    renewed = tuple(ticket if other.owner == ticket.owner else other for other in record.tickets)
    return replace(record, tickets=renewed)
