"""What a new user types wrong: one line that says what to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import APP, Say
from longshore import Longshore, State

EMPTY = "from longshore import Longshore\n\n{name} = Longshore('memory://')\n"


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules in the working directory, as a user has them."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name, text in {
        "mistake_of_name": EMPTY.format(name="harbour"),
        "mistake_of_import": "import a_package_that_is_not_there",
        "mistake_of_syntax": "def app(:",
        "mistake_of_value": "from longshore import Longshore\napp = Longshore('memory://', codec='tar')",
    }.items():
        folder.joinpath(f"{name}.py").write_text(text)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)


@pytest.mark.parametrize(
    "command", [("worker", "{}", "--until-empty"), ("stats", "--app", "{}")], ids=["worker", "stats"]
)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tasks", "expected an application as module:attribute, such as tasks:app; got 'tasks'"),
        ("tasks.app", "such as tasks:app; got 'tasks.app'"),
        ("tasks.py:app", "such as tasks:app, a module and not a file; got"),
        ("jobs/tasks.py", "such as tasks:app, a module and not a file; got"),
        ("no_such_module:app", "there is no module 'no_such_module' for the application"),
        ("mistake_of_name:app", "there is nothing; did you mean mistake_of_name:harbour?"),
        ("cli.harbour:add", "there is a Task; did you mean cli.harbour:app?"),
        ("mistake_of_import:app", "ModuleNotFoundError: No module named 'a_package_that_is_not_there' ("),
        ("mistake_of_syntax:app", "SyntaxError: invalid syntax (mistake_of_syntax.py, line 1)"),
        ("mistake_of_value:app", "no codec is known as 'tar'"),
        ("cli.sunken:app", "OSError: sunk in two lines ("),
    ],
)
def test_an_application_that_cannot_be_used(bare: Say, command: tuple[str, ...], name: str, said: str) -> None:
    told = bare(*(word.format(name) for word in command))
    assert (told.code, told.out) == (2, "")
    assert said in told.error
    assert told.error.count("\n") == 1


def test_where_an_import_failed_is_said(bare: Say) -> None:
    assert "mistake_of_import.py, line 1)" in bare("worker", "mistake_of_import:app").error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--url", "sqlit:///jobs.db"), "did you mean sqlite://?"),
        (("--url", "jobs.db"), "expected a URL such as sqlite:///jobs.db, got 'jobs.db'"),
        (("--url", "sqlite:///far/away/jobs.db"), "far/away/jobs.db cannot be opened for writing: there is no folder"),
        (("--queue", ""), "a queue's name must be 1 to 200 bytes"),
        (("--queue", "a", "--queue", "a"), "each queue can be named once"),
        (("--queue", "a=no"), "expected NAME=NUMBER; got 'a=no'"),
        (("--limit", "add"), "expected NAME=NUMBER; got 'add'"),
    ],
    ids=str,
)
def test_a_worker_that_cannot_work(bare: Say, words: tuple[str, ...], said: str) -> None:
    told = bare("worker", APP, "--until-empty", *words)
    assert told.code == 2
    assert said in told.error
    assert told.error.count("\n") == 1


def test_a_worker_of_what_nobody_knows_says_so_and_works(bare: Say, url: str) -> None:
    told = bare("worker", APP, "--until-empty", "--url", url, "-q", "sums", "-q", "sms", "--limit", "ad=2")
    assert told.code == 0
    assert told.error.splitlines() == [
        "longshore: no task puts its jobs into sms by itself; the tasks use default, sums",
        "longshore: limits of unknown tasks: ad; there are add, fail, log_in",
    ]


def test_a_worker_on_a_terminal_says_what_it_runs_and_what_it_leaves(
    bare: Say, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    told = bare("worker", APP, "--until-empty", "--url", url, "-s", "3")
    line = "longshore: 1 process runs up to 3 jobs of default at a time; not those of sums (--queue); Ctrl-C stops\n"
    assert (told.code, told.error) == (0, line)


def test_a_worker_of_an_application_without_tasks_says_so(bare: Say, url: str) -> None:
    told = bare("worker", "mistake_of_name:harbour", "--until-empty", "--url", url)
    assert (told.code, told.error.count("\n")) == (0, 1)
    assert "has no tasks: import the modules that declare them" in told.error


def test_a_job_of_an_unknown_task_is_stored_stays_pending_and_is_shown(app: Longshore, say: Say) -> None:
    told = say("enqueue", "ad", '{"first": 1}', "--app", APP, "--id", "lost")
    assert (told.code, told.out) == (0, "lost\n")
    assert "no task ad (did you mean add?); the job is stored, and stays pending" in told.error
    app.worker().run(until_empty=True)
    assert app.job("lost").info().state is State.PENDING
    assert app.job("lost").info().attempt == 0
    assert [(each.task, each.jobs, each.known) for each in app.admin.unserved()] == [("ad", 1, False)]
    assert "unserved: 1 of ad in default: no living worker knows it" in say("stats").out
    assert say("jobs", "list").lines()[1][:4] == ["lost", "pending", "default", "ad"]
    assert say("jobs", "show", "lost").out.startswith("call: ad(… ")


def test_wrong_arguments_on_the_command_line_are_named(say: Say) -> None:
    told = say("enqueue", "add", '{"first": "one"}', "--app", APP)
    assert (told.code, told.error) == (2, "longshore: add() got 'first': expected `int`, got `str`\n")
    assert "'second'" in say("enqueue", "add", '{"first": 1, "second": []}', "--app", APP).error
    assert (
        "unexpected keyword argument 'third'" in say("enqueue", "add", '{"first": 1, "third": 1}', "--app", APP).error
    )
