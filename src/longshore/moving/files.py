"""Dumps: a store as a file of JSON Lines, and back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from longshore.contract import By, StoredJob, Write
from longshore.errors import ConfigurationError, InvalidValue
from longshore.guard import Guard
from longshore.motion import expect, expect_no_more, name_of
from longshore.moving import lines
from longshore.moving.copying import Arrival, each_at_rest
from longshore.moving.records import COPIED_SCHEDULE, REST, RULES, each, sent
from longshore.moving.strides import BYTES, weight_of
from longshore.moving.telling import Carried, Progress, Tell, tell_nobody
from longshore.schedules.stored import KIND as SCHEDULE

_BATCH = 500


def write_dump(store: Guard, file: BinaryIO, *, tell: Tell = tell_nobody) -> Carried:
    """Writes everything: rules, jobs from the oldest on, other records."""
    total = sum(store.count(By.QUEUE_STATE).values())
    first = {"format": lines.FORMAT, "store": name_of(store), "at": store.now(), "jobs": total}
    file.write(lines.line_of("longshore", first))
    records = _write_records(store, RULES, file)
    states: dict[Any, int] = {}
    for jobs in each_at_rest(store):
        file.writelines(lines.line_of_job(job) for job in jobs)
        for job in jobs:
            states[job.state] = states.get(job.state, 0) + 1
        done = sum(states.values())
        tell(Progress(done, max(total, done)))
    records += _write_records(store, REST, file)
    file.write(lines.line_of("end", {"jobs": sum(states.values()), "records": records}))
    return Carried(states, records)


def dump_to(store: Guard, path: str | os.PathLike[str], *, tell: Tell = tell_nobody) -> Carried:
    """The same into a file, which is there when all is written."""
    whole = Path(path)
    part = whole.with_name(whole.name + ".part")
    try:
        with part.open("wb") as file:
            written = write_dump(store, file, tell=tell)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigurationError(f"expected a file that can be written; {part}: {error.strerror}") from error
    part.replace(whole)
    return written


def load_from(path: str | os.PathLike[str], store: Guard, *, verify: bool = False, tell: Tell = tell_nobody) -> Carried:
    """Loads a file that `dump_to` wrote."""
    try:
        with Path(path).open("rb") as file:
            return read_dump(file, store, verify=verify, tell=tell)
    except OSError as error:
        raise ConfigurationError(f"expected a file that can be read; {path}: {error.strerror}") from error


def read_dump(file: Iterable[bytes], store: Guard, *, verify: bool = False, tell: Tell = tell_nobody) -> Carried:
    """Loads what `write_dump` wrote; jobs that have not ended stand still until they are released.

    Raises:
        InvalidValue: a line cannot be read, or the last one is missing; what stood before it is loaded.
        IdConflict: another call is stored under an id; all other jobs are loaded.
        CopyDiffers: with ``verify``, something did not arrive as it was written.
    """
    loading = _Loading(store, Arrival(store, verify=verify, tell=tell))
    for number, line in enumerate(file, 1):
        loading.add(*lines.read_line(line, number), number)
    return loading.finish()


class _Loading:
    """What has been read of a dump, some of which is not stored yet."""

    def __init__(self, store: Guard, arrival: Arrival) -> None:
        self._store = store
        self._arrival = arrival
        self._name: str | None = None
        self._jobs: list[StoredJob] = []
        self._records: list[Write] = []
        self._weight = 0
        self._read = {"jobs": 0, "records": 0}
        self._end: dict[str, Any] | None = None

    def add(self, what: str, value: dict[str, Any], number: int) -> None:
        if self._name is None:
            self._begin(what, value, number)
        elif what == "job":
            self._add_job(lines.job_of(value, number))
        elif what == "record":
            self._add_record(lines.record_of(value, number))
        elif what == "end":
            self._end = value
        else:
            raise lines.wrong(number, f"expected a job, a record or the end; it is a {what!r}")

    def finish(self) -> Carried:
        """Stores what is left, and compares the numbers."""
        if self._name is None:
            raise InvalidValue("expected a dump; the file is empty")
        self._store_jobs()
        self._store_records()
        if self._end != self._read:
            expected = f"{self._end}" if self._end is not None else "a last line that says how much there is"
            raise InvalidValue(
                f"expected {expected}; read were {self._read}. They are loaded, but the file was cut off or changed"
            )
        expect_no_more(self._store, self._name)
        return self._arrival.carried(self._read["records"])

    def _begin(self, what: str, value: dict[str, Any], number: int) -> None:
        if what != "longshore" or value.get("format") != lines.FORMAT:
            raise lines.wrong(
                number, f"expected the first line of a dump of format {lines.FORMAT}; it is {what} {value}"
            )
        self._name = str(value.get("store"))
        self._arrival.total = int(value.get("jobs", 0))
        expect(self._store, self._name, is_copy=True)

    def _add_job(self, job: StoredJob) -> None:
        self._jobs.append(job)
        self._weight += weight_of(job)
        self._read["jobs"] += 1
        if len(self._jobs) >= _BATCH or self._weight >= BYTES:
            self._store_jobs()

    def _add_record(self, write: Write) -> None:
        # In the order of the file, so that rules hold before the first job is there.
        self._store_jobs()
        self._records.append(_paused(write))
        self._read["records"] += 1
        if len(self._records) >= _BATCH or sum(len(each.value or b"") for each in self._records) >= BYTES:
            self._store_records()

    def _store_jobs(self) -> None:
        if self._jobs:
            self._store_records()
            self._arrival.land(self._jobs)
        self._jobs, self._weight = [], 0

    def _store_records(self) -> None:
        if self._records:
            self._store.write(self._records)
        self._records = []


def _write_records(store: Guard, kinds: tuple[str, ...], file: BinaryIO) -> int:
    number = 0
    for page in each(store, kinds):
        now = store.now()
        writes = [write for record in page if (write := sent(record, now, version=0)) is not None]
        file.writelines(map(lines.line_of_record, writes))
        number += len(writes)
    return number


def _paused(write: Write) -> Write:
    if write.kind != SCHEDULE:
        return write
    return Write(COPIED_SCHEDULE, write.key, write.value, None)
