"""Datagrams between processes."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy

from longshore.contract import Claim, NewJob, Sleeper
from longshore_sql.sqlite.driver import SQLiteDriver
from longshore_sql.sqlite.wakes import Wakes, topic_bits

PATIENCE = 20.0
JOB = NewJob("a", "queue", "task", b"payload")


@pytest.fixture(params=["socket in the folder", "port"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder for sockets, and one whose path is too long for them."""
    name = "wake" if request.param.startswith("socket") else "very-long-name-" * 10
    return Path(os.path.relpath(tmp_path)) / name if name == "wake" else tmp_path / name


@pytest.fixture
def wakes(folder: Path):
    wakes = Wakes(str(folder))
    yield wakes
    wakes.close()


def test_a_listener_hears_its_topics_and_others_hardly_ever(wakes: Wakes) -> None:
    listener = wakes.listen(["one", "two"])
    assert topic_bits(["three"]) & topic_bits(["one", "two"]) == 0
    wakes.wake(["three"])
    assert not listener.wait(0)
    wakes.wake(["two"])
    assert listener.wait(PATIENCE)
    assert not listener.wait(0)
    listener.close()


def test_wakes_between_waits_are_kept_and_merged(wakes: Wakes) -> None:
    listener = wakes.listen(["one"])
    for _ in range(5_000):
        wakes.wake(["one"])
    assert listener.wait(0)
    assert not listener.wait(0)
    listener.close()


def test_an_interrupted_wait_returns_at_once_and_is_no_wake(wakes: Wakes) -> None:
    listener = wakes.listen(["one"])
    listener.interrupt()
    assert not listener.wait(PATIENCE)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(listener.wait(PATIENCE)))
    thread.start()
    listener.interrupt()
    thread.join(PATIENCE)
    assert answers == [False]
    listener.close()


def test_a_closed_listener_is_gone_and_who_waits_returns(wakes: Wakes, folder: Path) -> None:
    listener = wakes.listen(["one"])
    assert len(list(folder.iterdir())) == 1
    thread = threading.Thread(target=lambda: listener.wait(PATIENCE))
    thread.start()
    listener.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    listener.close()
    assert not listener.wait(PATIENCE)
    assert list(folder.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_first_who_sends(wakes: Wakes, folder: Path) -> None:
    program = (
        "import sys; from longshore_sql.sqlite.wakes import Wakes\n"
        "listener = Wakes(sys.argv[1]).listen(['one']); print('listening', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n"
        process.send_signal(signal.SIGKILL)
    assert len(list(folder.iterdir())) == 1
    wakes.wake(["one"])
    assert list(folder.iterdir()) == []


def test_strange_files_in_the_folder_disturb_nobody(wakes: Wakes, folder: Path) -> None:
    listener = wakes.listen(["one"])
    (folder / "README").touch()
    (folder / "ffffffffffffffff-no-socket").touch()
    wakes.wake(["one"])
    assert listener.wait(PATIENCE)
    listener.close()


def test_without_a_folder_nobody_is_there(tmp_path: Path) -> None:
    Wakes(str(tmp_path / "none")).wake(["one"])


def test_where_no_folder_can_be_made_a_listener_sleeps(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert isinstance(Wakes(str(tmp_path / "file")).listen(["one"]), Sleeper)


@pytest.mark.timed
def test_waiting_costs_nothing(wakes: Wakes) -> None:
    listener = wakes.listen(["one"])
    before = time.process_time()
    assert not listener.wait(0.5)
    assert time.process_time() - before < 0.0025, "more than half a per cent of a processor while idle"
    listener.close()


def test_namespaces_are_woken_apart(connect, store: SQLiteDriver) -> None:
    other = connect(namespace="other")
    listener = store.listen(["queue:queue"])
    other.wake(["queue:queue"])
    assert not listener.wait(0)
    store.wake(["queue:queue"])
    assert listener.wait(PATIENCE)
    listener.close()


def test_sqlalchemys_commit_wakes_and_its_rollback_does_not(store: SQLiteDriver, path: Path) -> None:
    listener = store.listen(["queue:queue"])
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        store.insert([JOB], tx=connection)
        connection.rollback()
        assert not listener.wait(0)
        store.insert([JOB], tx=connection)
        assert not listener.wait(0)
        connection.commit()
        assert listener.wait(PATIENCE)
        connection.execute(sqlalchemy.text("SELECT 1"))
        connection.commit()
        assert not listener.wait(0)
    engine.dispose()
    listener.close()


def test_who_is_woken_within_a_raw_transaction_sees_what_it_committed(connect, store: SQLiteDriver, path: Path) -> None:
    """``sqlite3`` does not say when it commits: the hint comes before, and the woken waits for the writer's lock."""
    listener = store.listen(["queue:queue"])
    connection = sqlite3.connect(path)
    store.insert([JOB], tx=connection)
    assert listener.wait(PATIENCE)
    found: list[str] = []
    begun = threading.Event()

    def claim() -> None:
        begun.set()
        found.extend(job.id for job in connect().claim([Claim(("queue",))], holder="holder", limit=1).jobs)

    thread = threading.Thread(target=claim)
    thread.start()
    assert begun.wait(PATIENCE)
    connection.commit()
    thread.join(PATIENCE)
    connection.close()
    assert found == ["a"]
    listener.close()


def test_a_child_of_fork_listens_for_itself(store: SQLiteDriver) -> None:
    listener = store.listen(["one"])
    reader, writer = socket.socketpair()
    child = os.fork()
    if child == 0:
        own = store.listen(["one"])
        writer.send(b"ready")
        os._exit(0 if own.wait(PATIENCE) else 1)
    assert reader.recv(5) == b"ready"
    store.wake(["one"])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert listener.wait(PATIENCE)
    listener.close()
    reader.close()
    writer.close()
