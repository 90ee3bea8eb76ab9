"""What operators see of what a run tells."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from longshore.application import Application
from longshore.contract import Record, StoredJob
from longshore.guard import Guard
from longshore.redaction import shown_value
from longshore.telling.stored import KIND, run_prefix, unpacked

MOST: Final = 100
_PAGE: Final = 500


def shown_replies(app: Application, job: StoredJob) -> tuple[str, ...]:
    """The last 100 replies of a job's last run, as people may see them; those that cannot be read by their size."""
    task, codec = app.tasks.get(job.task), app.telling_codec(job.task)
    hide = None if task is None else task.arguments.hider(job.payload, job.codec)
    shown: list[str] = []
    for record in deque(_records(app.store, job), maxlen=MOST):
        unreadable = f"… {len(record.value):,} bytes"
        if hide is None:
            shown.append(unreadable)
            continue
        try:
            value = unpacked(record.value, codec)
        except Exception:  # noqa: BLE001 - what is stored may be anything, and a type's own hook may raise anything
            shown.append(unreadable)
        else:
            shown.append(hide(shown_value(value)))
    return tuple(shown)


def _records(store: Guard, job: StoredJob) -> Iterator[Record]:
    prefix = run_prefix(job.id, job.generation)
    after: str | None = None
    while page := store.read(KIND, prefix=prefix, limit=_PAGE, after=after):
        yield from page
        after = page[-1].key
