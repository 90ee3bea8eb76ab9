"""The examples that enqueue in a transaction, run as a user runs them."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest

from engines import Server
from longshore import Longshore
from stores import fresh_store

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path, shared_server: Callable[[str], Server]) -> str:
    """A database without tables of the examples."""
    fresh: str = fresh_store(request.param, tmp_path, shared_server)
    if request.param == "postgres":
        with psycopg.connect(fresh.partition("?")[0], autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS shop_receipt, shop_order, imported")
    return fresh


@contextmanager
def served(url: str) -> Iterator[str]:
    """The web shop; gives its address. At the end it is asked to leave."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(ROOT / "examples"), "--port", "0", "web_shop:web"]
    server = subprocess.Popen(command, env=os.environ | {"SHOP_URL": url}, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    try:
        said = []
        for line in server.stderr:
            said.append(line)
            if found := re.search(r"running on (http://\S+)", line):
                break
        else:
            raise AssertionError("".join(said))
        yield found[1]
    finally:
        server.terminate()
        try:
            server.communicate(timeout=60)
        finally:
            server.kill()


def ask(address: str, body: object = None) -> tuple[int, Any]:
    """The status and the answer of a request."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(address, data, {"Content-Type": "application/json"}), timeout=60) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.timeout(180)
def test_the_web_shop_commits_an_order_with_its_job(url: str) -> None:
    with served(url) as shop:
        status, answer = ask(f"{shop}/orders", {"customer": "Ann", "amount": 99})
        assert status == 201, answer
        first = answer["order"]
        assert ask(f"{shop}/orders/{first}/receipt?wait=60") == (200, {"receipt": "Ann, thank you for 99"})
        status, answer = ask(f"{shop}/orders", {"customer": "Bob", "amount": 0})
        assert (status, "something" in str(answer)) == (422, True)
        assert ask(f"{shop}/orders") == (200, {"orders": 1, "receipts": 1, "jobs": 1})
        assert ask(f"{shop}/orders/4711/receipt")[0] == 404
        _, answer = ask(f"{shop}/orders", {"customer": "Eve", "amount": 7})
    # It has left, perhaps before it sent the receipt.
    with served(url) as shop:
        second = answer["order"]
        assert ask(f"{shop}/orders/{second}/receipt?wait=60") == (200, {"receipt": "Eve, thank you for 7"})
        assert ask(f"{shop}/orders") == (200, {"orders": 2, "receipts": 2, "jobs": 2})


def run_import(file: Path, url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / "import_orders.py"), str(file), "--url", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, cwd=file.parent)


def imported(url: str) -> int:
    """How many orders there are."""
    path = url.removeprefix("sqlite:///")
    own: Any = sqlite3.connect(path) if path != url else psycopg.connect(url.partition("?")[0])
    with closing(own) as connection:
        return int(connection.execute("SELECT count(*) FROM imported").fetchone()[0])


@pytest.mark.timeout(180)
def test_the_script_imports_all_or_nothing(url: str, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("Ann,99\nBob,many\n")
    done = run_import(file, url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing was imported" in done.stderr
    with Longshore(url) as jobs:
        assert (imported(url), sum(jobs.counts().values())) == (0, 0)
    file.write_text("Ann,99\nBob,7\n")
    done = run_import(file, url)
    assert (done.returncode, done.stdout) == (0, "Ann, thank you for 99\nBob, thank you for 7\n"), done.stderr
    assert imported(url) == 2
