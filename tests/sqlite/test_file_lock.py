"""The line in which writers wait."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from longshore_sql.file_lock import FileLock

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
        "import sys; from longshore_sql.file_lock import FileLock\n"
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
    monkeypatch.setattr("longshore_sql.file_lock.fcntl.flock", refuse)
    assert lock.acquire(0)
    lock.release()


def test_two_threads_of_one_lock_take_turns(locks) -> None:
    lock = locks()
    with lock:
        assert not lock.acquire(0.01)
    with lock:
        pass
