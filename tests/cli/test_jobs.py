"""``longshore enqueue``, ``jobs`` and ``failures``."""

from __future__ import annotations

import pytest

from cli.conftest import APP, Say
from longshore import Longshore
from longshore.contract import Claim, State


def enqueue(say: Say, task: str, arguments: str, *more: str) -> str:
    said = say("enqueue", task, arguments, *more)
    assert said.code == 0, said.error
    return said.out.strip()


def run_failing(app: Longshore, say: Say, *words: str) -> list[str]:
    ids = [enqueue(say, "fail", f'{{"word": "{word}"}}', "--app", APP) for word in words]
    app.worker().run(until_empty=True)
    return ids


class TestEnqueue:
    def test_by_name_on_the_store_alone(self, app: Longshore, say: Say) -> None:
        said = say("enqueue", "elsewhere", '{"a": [1]}', "--id", "mine", "-q", "far", "-p", "5", "-d", "60",
                   "--max-attempts", "0", "--note", "customer=7", "--note", "name=Ada", "--json")  # fmt: skip
        assert said.json() == {"id": "mine"}
        job = app.job("mine").info()
        assert (job.task, job.queue, job.priority, job.max_attempts) == ("elsewhere", "far", 5, None)
        assert job.notes == {"customer": 7, "name": "Ada"}
        assert job.shown_as == "scheduled"

    def test_with_the_application_it_has_the_tasks_own_options_and_runs(self, app: Longshore, say: Say) -> None:
        identity = enqueue(say, "add", '{"first": 4}', "--app", APP)
        job = app.job(identity).info()
        assert (job.queue, job.priority) == ("sums", 3)
        app.worker(queues=["sums"]).run(until_empty=True)
        assert app.job(identity).result(timeout=5) == 5

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ("[1]", "by name"),
            ("{", "no JSON"),
            ('{"first": 1, "third": 1}', "third"),
            ('{"first": "four"}', "first"),
        ],
    )
    def test_wrong_arguments_are_bad_usage_and_store_nothing(
        self, app: Longshore, say: Say, arguments: str, words: str
    ) -> None:
        said = say("enqueue", "add", arguments, "--app", APP)
        assert (said.code, said.out) == (2, "")
        assert words in said.error
        assert app.admin.counts() == {}

    def test_a_note_needs_a_key(self, say: Say) -> None:
        assert say("enqueue", "add", "{}", "--note", "seven").code == 2


class TestList:
    def test_filters_and_pages(self, app: Longshore, say: Say) -> None:
        for number in range(3):
            enqueue(say, "a", "{}", "--id", f"a{number}")
        enqueue(say, "b", "{}", "--id", "b", "-q", "other", "--note", "customer=7")
        first = say("jobs", "list", "--limit", "3", "--json").json()
        rest = say("jobs", "list", "--after", first["after"], "--json").json()
        assert [job["id"] for job in first["jobs"] + rest["jobs"]] == ["b", "a2", "a1", "a0"]
        assert rest["after"] is None
        for filters in (["-q", "other"], ["-t", "b"], ["--note", "customer=7"]):
            assert [line[:3] for line in say("jobs", "list", *filters).lines()[1:]] == [["b", "pending", "other"]]
        assert say("jobs", "list", "-s", "running", "--json").json()["jobs"] == []
        assert len(say("jobs", "list", "--since", "3600", "--json").json()["jobs"]) == 4
        assert say("jobs", "list", "--stuck", "--json").json()["jobs"] == []

    def test_more_pages_are_told_beside_the_answer(self, say: Say) -> None:
        for number in range(2):
            enqueue(say, "a", "{}", "--id", f"a{number}")
        said = say("jobs", "list", "--limit", "1")
        assert len(said.lines()) == 2
        assert "--after" in said.error

    def test_an_unknown_state_is_bad_usage(self, say: Say) -> None:
        said = say("jobs", "list", "-s", "sleeping")
        assert said.code == 2
        assert "succeeded" in said.error


class TestShow:
    def test_one_job_with_its_attempts(self, app: Longshore, say: Say) -> None:
        (identity,) = run_failing(app, say, "why")
        said = say("jobs", "show", identity)
        assert "state: failed" in said.out
        assert "ValueError: why" in said.out
        assert "Traceback" in said.out
        shown = say("jobs", "show", identity, "--json").json()
        assert (shown["id"], shown["state"], shown["attempts"][0]["outcome"]) == (identity, "failed", "failed")

    def test_the_call_without_its_secrets(self, app: Longshore, say: Say) -> None:
        identity = enqueue(say, "log_in", '{"name": "Ada", "token": "hush-hush"}', "--app", APP)
        shown = say("jobs", "show", identity, "--app", APP)
        assert "call: log_in(name='Ada', token=***)" in shown.out
        assert "Ada" not in say("jobs", "show", identity).out
        said = say("jobs", "foreground", identity, "--app", APP)
        assert said.code == 1
        assert "PermissionError: Ada may not come in" in said.error
        assert "hush-hush" not in said.error + say("jobs", "show", identity, "--app", APP, "--json").out

    def test_the_result_without_its_secrets(self, app: Longshore, say: Say) -> None:
        @app.task(name="log_in_again", secret=["token"])
        def log_in_again(token: str) -> str:
            return f"in by {token}"

        job = log_in_again.enqueue("hush-hush")
        app.worker().run(until_empty=True)
        assert app.admin.result(job.id) == "'in by ***'"
        shown = say("jobs", "show", job.id)
        assert "result: … 17 bytes of json" in shown.out, "without the application nobody knows what is secret"
        enqueue(say, "add", '{"first": 41}', "--app", APP, "--id", "sum")
        app.worker(queues="sums").run(until_empty=True)
        assert "result: 42\n" in say("jobs", "show", "sum", "--app", APP).out
        assert say("jobs", "show", "sum", "--app", APP, "--json").json()["result"] == "42"

    def test_no_such_job(self, say: Say) -> None:
        said = say("jobs", "show", "nobody")
        assert (said.code, said.out) == (1, "")
        assert said.error == "longshore: there is no job nobody\n"


class TestAct:
    def test_cancel_retry_remove(self, app: Longshore, say: Say) -> None:
        enqueue(say, "a", "{}", "--id", "one")
        assert say("jobs", "cancel", "one").lines() == [["one", "done"]]
        assert say("jobs", "cancel", "one").lines() == [["one", "already"]]
        assert say("jobs", "retry", "one", "--delay", "60", "--priority", "4", "--to-queue", "late").code == 0
        assert app.job("one").info().max_attempts == 5
        assert say("jobs", "retry", "one", "--delay", "60", "--max-attempts", "0").code == 0
        assert app.job("one").info().max_attempts is None
        job = app.job("one").info()
        assert (job.shown_as, job.priority, job.queue) == ("scheduled", 4, "late")
        assert say("jobs", "remove", "one", "--json").json()[0]["verdict"] == "done"
        said = say("jobs", "remove", "one")
        assert (said.code, said.lines()) == (1, [["one", "missing"]])

    def test_a_running_one_is_asked_or_forced(self, app: Longshore, say: Say) -> None:
        enqueue(say, "a", "{}", "--id", "one")
        app.store.claim([Claim(id="one")], holder="anna", limit=1)
        assert say("jobs", "remove", "one").lines() == [["one", "refused", "running"]]
        assert say("jobs", "cancel", "one").lines() == [["one", "asked"]]
        assert say("jobs", "cancel", "one", "--force").lines() == [["one", "done"]]

    def test_all_of_a_kind(self, app: Longshore, say: Say) -> None:
        ids = run_failing(app, say, "a", "b", "c")
        enqueue(say, "other", "{}")
        assert sorted(line[0] for line in say("jobs", "retry", "-s", "failed", "-t", "fail").lines()) == sorted(ids)
        assert app.counts()[State.PENDING] == 4

    def test_ids_or_a_kind_but_not_both_nor_none(self, say: Say) -> None:
        assert say("jobs", "remove").code == 2
        assert say("jobs", "remove", "one", "-q", "mail").code == 2

    def test_nothing_of_a_kind_is_done(self, say: Say) -> None:
        assert say("jobs", "remove", "-q", "nothing").code == 0


class TestForeground:
    def test_the_result_or_the_error(self, app: Longshore, say: Say) -> None:
        identity = enqueue(say, "add", '{"first": 4}', "--app", APP, "-d", "60")
        assert say("jobs", "foreground", identity, "--app", APP).out == "5\n"
        assert say("jobs", "foreground", identity, "--app", APP, "--json").json()["result"] == 5
        failing = enqueue(say, "fail", '{"word": "why"}', "--app", APP)
        said = say("jobs", "foreground", failing, "--app", APP)
        assert (said.code, said.error) == (1, f"longshore: job {failing} failed: ValueError: why\n")
        assert app.job(failing).info().state is State.FAILED

    def test_it_needs_the_application_and_the_job(self, say: Say) -> None:
        assert say("jobs", "foreground", "nobody").code == 2
        assert say("jobs", "foreground", "nobody", "--app", APP).code == 1


class TestFailures:
    def test_listed_and_enqueued_anew_once(self, app: Longshore, say: Say) -> None:
        first, second = run_failing(app, say, "one", "two")
        listed = say("failures", "list", "--json").json()["failures"]
        assert [(failure["id"], failure["error"]) for failure in listed] == [
            (second, "ValueError: two"),
            (first, "ValueError: one"),
        ]
        assert [line[1] for line in say("failures", "list", "-t", "fail").lines()[1:]] == ["failed", "failed"]
        assert say("failures", "retry", first).lines()[0][:2] == [first, "done"]
        assert say("failures", "retry", first).lines()[0][:2] == [first, "already"]
        assert [line[0] for line in say("failures", "retry", "--all").lines()] == [second]
        assert say("failures", "retry", "--all").out == ""
        assert app.counts()[State.PENDING] == 2

    def test_ids_or_all(self, say: Say) -> None:
        assert say("failures", "retry").code == 2
        assert say("failures", "retry", "one", "--all").code == 2
        assert say("failures", "retry", "nobody").code == 1
