"""What a process pays for the driver alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MEGABYTE = 1024
PROGRAM = """
import json, sys
from pathlib import Path
from longshore_sql.sqlite.driver import SQLiteDriver
from longshore.contract import Claim, NewJob
store = SQLiteDriver.connect(sys.argv[1])
store.migrate()
store.insert([NewJob(f"{n}", "queue", "task", b"payload" * 10) for n in range(1_000)])
for _ in range(10):
    store.claim([Claim(("queue",))], holder="holder", limit=100)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps([int(status["VmHWM"].split()[0]), list(sys.modules)]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell what a process needs")
def test_a_working_driver_is_small_and_leaves_out_what_it_does_not_use(path) -> None:
    command = [sys.executable, "-c", PROGRAM, f"sqlite:///{path}"]
    memory, modules = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert memory < 55 * MEGABYTE
    others = ("sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.mysql")
    unwanted = (*others, "sqlalchemy.orm", "sqlalchemy.ext", "greenlet", "typer", "rich")
    assert not [module for module in modules if module.startswith(unwanted)]


@pytest.mark.parametrize(
    ("module", "schema", "own"),
    [("sqlite", "", "sqlite"), ("postgres", ", numbered=False", "postgresql"), ("mysql", ", partial=False", "mysql")],
)
def test_a_driver_brings_its_own_dialect_alone(module: str, schema: str, own: str) -> None:
    program = (
        f"import sys, longshore_sql.{module}; from longshore_sql.schema import Schema; Schema('a'{schema})\n"
        "print(*{name.split('.')[2] for name in sys.modules if name.startswith('sqlalchemy.dialects.')} - {'_typing'})"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert found.split() == [own]
