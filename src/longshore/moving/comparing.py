"""Whether what arrived is what was sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from longshore.contract import State, StoredJob, Where
from longshore.errors import CopyDiffers
from longshore.following import is_callback
from longshore.guard import Guard

_FIRST: Final = 5
_FREE: Final = frozenset({"awaited", "releases", "settled", "settled_by"})
"""What may change at any time, or is not sent with a file."""
_CONSTANT: Final = ("task", "created", "codec", "payload", "digest", "group", "key", "parents", "unique_key")


def compare(store: Guard, sent: Sequence[StoredJob]) -> None:
    """Reads jobs that were inserted, and compares them with what was sent.

    A job that has begun there, or was changed, is compared in what stays the same for life.

    Raises:
        CopyDiffers: one is not there, or not the same.
    """
    if not sent:
        return
    page = store.select(Where(ids=[job.id for job in sent]), limit=len(sent))
    found = {job.id: job for job in page.jobs}
    said = [line for job in sent for line in differences(job, found.get(job.id))]
    if said:
        more = f"; and {len(said) - _FIRST} more" if len(said) > _FIRST else ""
        raise CopyDiffers(f"expected what was sent; {'; '.join(said[:_FIRST])}{more}. It is still at the source")


def differences(sent: StoredJob, found: StoredJob | None) -> Iterator[str]:
    """What is another in the job that was found, one by one."""
    if found is None:
        # A call at a job's end that is not needed is removed as soon as that is known.
        if not (is_callback(sent) and sent.state is State.WAITING):
            yield f"job {sent.id} is not there"
        return
    is_untouched = (found.generation, found.state) == (sent.generation, sent.state)
    names = [name for name in StoredJob.__struct_fields__ if name not in _FREE] if is_untouched else _CONSTANT
    for name in names:
        was, is_now = getattr(sent, name), getattr(found, name)
        if was != is_now:
            yield f"{name} of job {sent.id} is {_shown(is_now)}, not {_shown(was)}"


def _shown(value: Any) -> str:
    """A value without what may be secret or long."""
    if isinstance(value, bytes):
        return f"{len(value):,} other bytes"
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
