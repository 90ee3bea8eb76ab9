"""What happens where a package that a driver needs is really not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import longshore
import longshore_sql

FOR_SQL = "sqlalchemy"


def without(package: str, folder: Path, script: str) -> tuple[int, str, str]:
    """Runs a script in a process that finds all that is installed here, but not this package."""
    links = folder / "packages"
    links.mkdir()
    places = dict.fromkeys([*map(Path, sys.path), Path(str(distribution("longshore").locate_file("")))])
    for place in (place for place in places if place.name == "site-packages"):
        for entry in place.iterdir():
            if not entry.name.lower().startswith(package) and not links.joinpath(entry.name).exists():
                links.joinpath(entry.name).symlink_to(entry)
    sources = dict.fromkeys(str(Path(module.__path__[0]).parent) for module in (longshore, longshore_sql))
    path = [str(links), *sources]
    # Without `site`, which would find the environment's own packages again.
    command = [sys.executable, "-S", "-c", f"import sys; sys.path += {path!r}\n{script}"]
    # What stevedore remembers of this path is not to stay in the user's home.
    environment = os.environ | {"XDG_CACHE_HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_a_driver_without_its_package_says_so_and_the_others_work(tmp_path: Path) -> None:
    code, out, error = without(
        FOR_SQL,
        tmp_path,
        """
from longshore import Longshore
from longshore.errors import MissingPackage

for url in ("sqlite:///jobs.db", "memory://"):
    app = Longshore(url)
    try:
        print(app.counts()[1])
    except MissingPackage as missing:
        print(missing)
""",
    )
    assert (code, error) == (0, "")
    assert out.splitlines() == [
        "the driver for sqlite:// cannot be loaded (No module named 'sqlalchemy'): install the package that it needs",
        "0",
    ]
    assert not (tmp_path / "jobs.db").exists()


def test_the_command_line_says_so_in_one_line_and_lists_what_is_wrong(tmp_path: Path) -> None:
    code, out, error = without(
        FOR_SQL, tmp_path, "from longshore.cli import main; main(['stats', '--url', 'sqlite:///jobs.db'])"
    )
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "No module named 'sqlalchemy'" in error


def test_the_list_of_drivers_names_the_problem(tmp_path: Path) -> None:
    code, out, _ = without(FOR_SQL, tmp_path, "from longshore.cli import main; main(['drivers', '--json'])")
    assert code == 0
    found = {driver["scheme"]: driver for driver in json.loads(out)}
    assert "No module named 'sqlalchemy'" in found["sqlite"]["problem"]
    assert found["memory"]["problem"] is None


def test_sessions_need_no_greenlet(tmp_path: Path) -> None:
    code, out, error = without(
        "greenlet",
        tmp_path,
        """
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from longshore import Longshore

app = Longshore("sqlite:///jobs.db")
app.store.now()
with Session(create_engine("sqlite:///jobs.db")) as session:
    app.enqueue(app.call_by_name("within"), tx=session)
    app.after_commit(session).enqueue(app.call_by_name("after"))
    session.commit()
print(sum(app.counts().values()))
""",
    )
    assert (code, out, error) == (0, "2\n", "")
