"""The line in which writers wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from longshore.contract import NewJob, Write
from longshore.errors import Unavailable
from longshore_sql.sqlite.driver import SQLiteDriver
from longshore_sql.sqlite.file_lock import PATIENCE as PATIENCE_IN_LINE
from longshore_sql.sqlite.file_lock import FileLock

pytestmark = pytest.mark.timed

PATIENCE = 20.0


@pytest.fixture
def locks(tmp_path: Path):
    made: list[FileLock] = []

    def make() -> FileLock:
        made.append(FileLock(str(tmp_path / "lock"), PATIENCE))
        return made[-1]

    yield make
    for lock in made:
        lock.close()


def test_it_is_given_to_one_at_a_time(locks) -> None:
    one, two = locks(), locks()
    assert one.acquire(0)
    assert not two.acquire(0.01)
    one.release()
    assert two.acquire(PATIENCE)
    two.release()


def test_who_waits_gets_it_when_it_is_released(locks) -> None:
    one, two = locks(), locks()
    assert one.acquire(0)
    given: list[bool] = []
    asked = threading.Event()

    def wait() -> None:
        asked.set()
        given.append(two.acquire(PATIENCE))
        two.release()

    thread = threading.Thread(target=wait)
    thread.start()
    assert asked.wait(PATIENCE)
    one.release()
    thread.join(PATIENCE)
    assert given == [True]
    assert one.acquire(PATIENCE)
    one.release()


def test_one_who_gave_up_does_not_keep_it(locks) -> None:
    one, two, three = locks(), locks(), locks()
    assert one.acquire(0)
    assert not two.acquire(0.01)
    one.release()
    assert three.acquire(PATIENCE), "it was given to one who no longer waits"
    three.release()
    for _ in range(50):
        assert two.acquire(PATIENCE)
        two.release()


def test_many_in_turn(locks) -> None:
    inside: list[int] = []
    seen: list[int] = []

    def work(lock: FileLock) -> None:
        for _ in range(100):
            assert lock.acquire(PATIENCE)
            inside.append(1)
            seen.append(len(inside))
            inside.pop()
            lock.release()

    threads = [threading.Thread(target=work, args=(locks(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert seen == [1] * 400


def test_a_killed_process_frees_it(locks, tmp_path: Path) -> None:
    program = (
        "import sys; from longshore_sql.sqlite.file_lock import FileLock\n"
        "FileLock(sys.argv[1], 9).acquire(0); print('taken', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"taken\n"
        lock = locks()
        assert not lock.acquire(0.01)
        process.kill()
        assert lock.acquire(PATIENCE)
        lock.release()


STOPS = (
    "import os, signal, sys; from longshore_sql.sqlite.file_lock import FileLock\n"
    "lock = FileLock(sys.argv[1], 9); lock.acquire(0); os.kill(os.getpid(), signal.SIGSTOP)\n"
    "lock.release(); print('released', flush=True); sys.stdin.read()"
)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SQLiteDriver]:
    store = SQLiteDriver.connect(f"sqlite:///{tmp_path}/jobs.db")
    store.migrate()
    yield store
    store.close()


def is_in_line(file: SQLiteDriver, lock: FileLock) -> bool:
    """Whether who writes holds the lock meanwhile."""
    with file._transaction():
        is_free = lock.acquire(0.01)
    if is_free:
        lock.release()
    return not is_free


def test_a_stopped_process_holds_nobody_up_for_long(file: SQLiteDriver, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STOPS, f"{tmp_path}/jobs.db-lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            first = seconds_of(lambda: file.insert([NewJob("a", "queue", "task", b"")]))
            assert first >= PATIENCE_IN_LINE, "it was not in the line"
            assert first < PATIENCE_IN_LINE + 5, "it waited for the lock until its time was up"
            others = [seconds_of(lambda: file.write([Write("kind", "key", b"")])) for _ in range(5)]
            assert min(others) < PATIENCE_IN_LINE / 2, "each waits anew for a line that stands"

            process.send_signal(signal.SIGCONT)
            assert process.stdout is not None
            assert process.stdout.readline() == b"released\n"
            lock = FileLock(f"{tmp_path}/jobs.db-lock", 0)
            assert any(is_in_line(file, lock) for _ in range(100)), "nobody lines up any more"
            lock.close()
        finally:
            process.kill()


def seconds_of(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def test_threads_of_one_process_take_their_turns_however_long_they_have_to_wait(locks) -> None:
    lock = FileLock(locks()._path, 0.05)
    with lock, pytest.raises(Unavailable, match="another thread has held it"), lock:
        pass
    lock.close()


def test_one_that_was_closed_lets_nobody_in(locks) -> None:
    lock = locks()
    lock.close()
    with pytest.raises(Unavailable, match="it was closed"), lock:
        pass
    assert not lock._thread.locked()


def test_closing_ends_a_wait(locks) -> None:
    one, two = locks(), locks()
    assert one.acquire(0)
    given: list[bool] = []
    thread = threading.Thread(target=lambda: given.append(two.acquire(PATIENCE)))
    thread.start()
    two.close()
    thread.join(PATIENCE)
    assert given in ([], [False])
    assert not thread.is_alive()
    one.release()


def test_a_file_system_without_locks_lets_everybody_through(locks, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: int, operation: int) -> None:
        raise OSError(os.strerror(38))

    lock = locks()
    monkeypatch.setattr("longshore_sql.sqlite.file_lock.fcntl.flock", refuse)
    assert lock.acquire(0)
    lock.release()


def test_two_threads_of_one_lock_take_turns(locks) -> None:
    lock = locks()
    with lock:
        assert not lock.acquire(0.01)
    with lock:
        pass
