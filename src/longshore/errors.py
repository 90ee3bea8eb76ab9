"""Everything that Longshore raises: one tree.

::

    LongshoreError
    ├── ConfigurationError          a URL, an option or a declaration is wrong
    │   ├── UnknownDriver           no driver serves this URL or handle
    │   ├── MissingPackage          a driver is there, a package that it needs is not
    │   ├── UnknownTask             no task is registered by this name
    │   ├── UnknownCodec            no codec is known by this name
    │   └── MissingResource         no resource of this type was given to the application
    ├── InvalidValue                an argument is not of the form that is needed
    │   ├── TooLarge                it is larger than the store or the application allows
    │   └── Tampered                signed or encrypted bytes were changed, or their key is not given
    ├── StoreError                  the store did not do what was asked
    │   ├── Unavailable             it did not answer; perhaps it did it all the same
    │   ├── Unsupported             this driver does not promise it
    │   ├── SchemaError             its schema is missing, too old or too new
    │   ├── StoreFull               it has no room; nothing was stored
    │   ├── Corrupt                 what it holds cannot be read
    │   ├── StoreMoved              its jobs have moved to another store
    │   └── Closed                  it was closed before
    ├── PartialInsert               some jobs of a bulk are stored, some are not
    ├── NotEnqueued                 a transaction is committed, jobs that were to follow it are not stored
    ├── IdConflict                  another job is stored under this id
    ├── UniqueConflict              another job holds this unique key
    ├── IllegalMove                 a job in this state cannot do that
    ├── Refused                     a hook refused a call; nothing was stored
    ├── NotCompleted                a strict task returned, and did not say that it has completed
    ├── NotCommitted                a run was completed in a transaction that is not committed
    ├── LeaseLost                   this process no longer holds its jobs
    ├── CopyDiffers                 what arrived in another store is not what was sent
    ├── LockHeld                    others hold the lock, and did not let go in the time given
    ├── LockLost                    the lock is not held any more: others may be inside
    └── ResultError                 there is no result to give
        ├── JobFailed               the job ended without success
        ├── JobRemoved              there is no such job any more
        ├── NotReady                it has not ended in the time given
        └── Blocked                 waiting here would never end

A message says what was expected, what came and what to do. Passwords in URLs never show.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any


class LongshoreError(Exception):
    """The root of the tree."""


class ConfigurationError(LongshoreError, ValueError):
    """A URL, an option or a declaration is wrong."""


class UnknownDriver(ConfigurationError):
    """No driver serves this URL or handle."""


class MissingPackage(ConfigurationError):
    """A driver is there, a package that it needs is not."""


class UnknownTask(ConfigurationError):
    """No task is registered by this name."""


class UnknownCodec(ConfigurationError):
    """No codec is known by this name."""


class MissingResource(ConfigurationError):
    """No resource of this type was given to the application."""


class InvalidValue(LongshoreError, ValueError):
    """An argument is not of the form that is needed."""


class TooLarge(InvalidValue):
    """It is larger than the store or the application allows."""


class Tampered(InvalidValue):
    """Signed or encrypted bytes were changed, or their key is not among those given."""


class StoreError(LongshoreError):
    """The store did not do what was asked."""


class Unavailable(StoreError):
    """The store did not answer.

    ``unknown`` is False only if it is certain that the call took no effect (a connection could not be opened).
    ``elsewhere`` has the ids of new jobs on which it certainly took none, and which another of several stores would
    take under other ids.
    """

    def __init__(self, message: str, *, unknown: bool = True, elsewhere: Collection[str] = ()) -> None:
        super().__init__(message)
        self.unknown = unknown
        self.elsewhere = frozenset(elsewhere)


class Unsupported(StoreError):
    """This driver does not promise it."""


class SchemaError(StoreError):
    """The store's schema is missing, too old or too new for this version."""


class StoreFull(StoreError):
    """The store has no room; nothing was stored."""


class Corrupt(StoreError):
    """What the store holds cannot be read."""


class StoreMoved(StoreError):
    """The store's jobs have moved to another store; nothing was stored here."""


class Closed(StoreError):
    """The driver was closed before."""


class PartialInsert(LongshoreError):
    """Some jobs of a bulk are stored, some are not.

    ``inserted`` holds the answers to the jobs that are stored, in their order; ``remaining`` the jobs that were not
    confirmed, the first chunk of which may be stored all the same: inserting them again is safe. The cause is chained.
    """

    def __init__(self, inserted: Sequence[Any], remaining: Sequence[Any]) -> None:
        super().__init__(
            f"expected all of {len(inserted) + len(remaining)} jobs to be stored, {len(inserted)} are; "
            "insert those in `remaining` again, with the ids they have: none can be stored twice"
        )
        self.inserted = list(inserted)
        self.remaining = list(remaining)


class NotEnqueued(LongshoreError):
    """A transaction is committed, and jobs that were to follow it are not stored, or not for certain.

    ``calls`` are those that are missing, each with its id: give them to `longshore.Longshore.enqueue_many`, as often as
    it takes; none is stored twice.
    """

    def __init__(self, calls: Sequence[Any], why: BaseException) -> None:
        super().__init__(
            f"the transaction is committed, but {len(calls)} of the jobs that were to follow it are not stored: {why}; "
            "give this error's `calls` to enqueue_many again: none can be stored twice"
        )
        self.calls = list(calls)


class IdConflict(LongshoreError):
    """Another job is stored under this id."""


class UniqueConflict(LongshoreError):
    """Another job holds this unique key. ``held_by`` is its id, None if it has just left."""

    def __init__(self, message: str, *, held_by: str | None = None) -> None:
        super().__init__(message)
        self.held_by = held_by


class IllegalMove(LongshoreError):
    """A job in this state cannot do that."""


class Refused(LongshoreError):
    """A hook refused a call; nothing was stored."""


class NotCompleted(LongshoreError):
    """A strict task returned, and did not say that it has completed."""


class NotCommitted(LongshoreError):
    """A run was completed in a transaction that is not committed."""


class LeaseLost(LongshoreError):
    """This process no longer holds its jobs: others may run them."""


class CopyDiffers(LongshoreError):
    """What arrived in another store is not what was sent."""


class LockHeld(LongshoreError, TimeoutError):
    """Others hold the lock, and did not let go in the time given."""


class LockLost(LongshoreError):
    """The lock is not held any more: its lifetime was over, or somebody freed it, and others may be inside."""


class ResultError(LongshoreError):
    """There is no result to give."""


class JobFailed(ResultError):
    """The job ended without success."""


class JobRemoved(ResultError):
    """There is no such job any more."""


class NotReady(ResultError, TimeoutError):
    """It has not ended in the time given."""


class Blocked(ResultError):
    """Waiting here would never end."""
