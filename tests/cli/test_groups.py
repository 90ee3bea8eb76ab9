"""``longshore groups``, and what commands on jobs know of what ties them to others."""

from __future__ import annotations

from cli.conftest import APP, Say
from longshore import Context, Longshore, State


def add(say: Say, identity: str, *more: str) -> None:
    said = say("enqueue", "add", '{"first": 1}', "--id", identity, *more)
    assert said.code == 0, said.error


class TestGroups:
    def test_how_far_they_have_come(self, app: Longshore, say: Say) -> None:
        add(say, "a", "--group", "cargo")
        add(say, "b", "--group", "cargo", "-d", "600")
        app.worker().run(until_empty=True)
        assert say("groups", "list").lines()[1:] == [["cargo", "2", "1", "no", "no", "1 pending, 1 succeeded"]]
        shown = say("groups", "show", "cargo", "--json").json()
        assert (shown["size"], shown["ended"], shown["members"]["pending"], shown["callback"]) == (2, 1, 1, None)
        assert "members: 2, 1 of them ended\n" in say("groups", "show", "cargo").out
        assert say("groups", "show", "nothing") == (1, "", "longshore: nothing is stored of a group nothing\n")
        say("jobs", "cancel", "b")
        assert say("groups", "list", "--json").json() == []
        assert [group["name"] for group in say("groups", "list", "--all", "--json").json()] == ["cargo"]

    def test_the_callback_comes_when_the_last_member_has_ended(self, app: Longshore, say: Say) -> None:
        add(say, "a", "--group", "cargo")
        said = say("groups", "seal", "cargo", "add", '{"first": 8}', "--app", APP, "-q", "default")
        assert (said.code, said.out, said.error) == (0, "group:cargo:done\n", "")
        shown = say("groups", "show", "cargo").out
        assert "sealed: yes\ncallback: group:cargo:done, when the last member has ended\n" in shown
        app.worker().run(until_empty=True)
        assert app.job("group:cargo:done").result(timeout=5) == 9
        assert "group:cargo:done, stored" in say("groups", "show", "cargo").out
        assert say("groups", "seal", "cargo", "fail", '{"word": "no"}', "--app", APP).code == 1, "it is sealed already"

    def test_an_empty_one_is_called_at_once_and_that_is_told(self, app: Longshore, say: Say) -> None:
        said = say("groups", "seal", "crago", "add", '{"first": 8}', "--json")
        assert said.json() == {"callback": "group:crago:done"}
        assert "no member of a group crago" in said.error
        assert app.job("group:crago:done").info().state is State.PENDING

    def test_wrong_arguments_seal_nothing(self, say: Say) -> None:
        add(say, "a", "--group", "cargo")
        assert say("groups", "seal", "cargo", "add", "[]").code == 2
        assert say("groups", "show", "cargo", "--json").json()["sealed"] is False


class TestBonds:
    def test_parents_are_given_and_shown(self, app: Longshore, say: Say) -> None:
        add(say, "parent")
        add(say, "child", "--after", "parent", "--lax", "--app", APP)
        add(say, "other", "--after", "parent", "--after", "child", "--key", "ship")
        assert app.job("child").info().state is State.WAITING
        assert app.job("other").info().key == "ship"
        assert "parents: parent, child\n" in say("jobs", "show", "other").out
        assert say("jobs", "show", "other", "--json").json()["parents"] == ["parent", "child"]
        assert say("jobs", "cancel", "parent").code == 0
        states = [app.job(identity).info().state for identity in ("child", "other")]
        assert states == [State.PENDING, State.CANCELLED], "only the lax one runs"

    def test_jobs_are_listed_by_what_ties_them(self, say: Say) -> None:
        add(say, "parent", "--group", "cargo")
        add(say, "child", "--after", "parent")
        add(say, "in line", "--key", "ship")
        wanted = {("--group", "cargo"): "parent", ("--parent", "parent"): "child", ("--key", "ship"): "in line"}
        for words, found in wanted.items():
            assert [line[0] for line in say("jobs", "list", *words).lines()[1:]] == [found]

    def test_a_subtree_is_cancelled(self, app: Longshore, say: Say) -> None:
        add(say, "root")
        add(say, "child", "--after", "root", "--lax")
        add(say, "grandchild", "--after", "child", "--lax")
        add(say, "stranger")
        fates = say("jobs", "cancel", "root", "--subtree").lines()
        assert fates == [["root", "done"], ["child", "done"], ["grandchild", "done"]]
        assert app.counts()[State.PENDING] == 1


class TestTold:
    def test_progress_and_replies_of_a_run(self, app: Longshore, say: Say) -> None:
        @app.task(name="travel")
        def travel(context: Context) -> None:
            context.progress(1, 4, "half way\nthere")
            context.reply({"at": "sea"})
            context.reply("landed")

        job = travel.enqueue()
        app.worker().run(until_empty=True)
        shown = say("jobs", "show", job.id)
        assert "progress: 1 of 4, half way there\n" in shown.out
        assert shown.out.count("reply: … ") == 2, "without the application nobody knows what is secret"
        known = say("jobs", "show", job.id, "--json").json()
        assert known["progress"] == {"done": 1.0, "total": 4.0, "message": "half way\nthere"}
        assert len(known["replies"]) == 2
        assert app.admin.replies(job.id) == ("{'at': 'sea'}", "'landed'")
