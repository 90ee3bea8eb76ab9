"""Schedules that code declares, and operators who change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from longshore import Context, Cron, Every, Longshore, Options
from longshore.durations import moment
from longshore.errors import ConfigurationError, InvalidValue
from longshore.schedules.declared import write_declared
from longshore.testing.clock import ManualClock
from longshore.testing.together import together
from model.ticking import MINUTE, jobs, ticks


class TestDeclared:
    def declare(self, app: Longshore) -> None:
        write_declared(app.store, app.schedules)

    def test_a_worker_that_starts_stores_what_code_declares(self, timed: Longshore, clock: ManualClock) -> None:
        @timed.schedule("0 3 * * *")
        @timed.task
        def nightly(context: Context) -> str:
            return context.job_id

        timed.schedule("again", Cron("30 3 * * *", "Asia/Kolkata"), nightly.call(), missed="all")
        assert timed.admin.schedules.all() == ()
        timed.worker().run(until_empty=True)
        again, once = timed.admin.schedules.all()
        assert (once.name, once.task, once.shown_when, once.declared) == ("nightly", "nightly", "0 3 * * * UTC", True)
        assert (again.name, again.task, again.missed) == ("again", "nightly", "all")
        assert once.next == moment(Cron("0 3 * * *").after(clock()))
        clock.advance(86_400)
        timed.admin.schedules.tick()
        timed.worker().run(until_empty=True)
        assert once.next is not None
        identity = f"schedule:nightly:{once.next.isoformat().replace('+00:00', 'Z')}"
        assert timed.job(identity).result() == identity

    def test_an_operator_s_edit_survives_the_next_start(self, timed: Longshore, beat: Any) -> None:
        timed.schedule("a", "0 3 * * *", beat.call())
        self.declare(timed)
        timed.admin.schedules.change("a", when="0 5 * * *", call=beat.call("edited"))
        edited = timed.admin.schedules.all()
        self.declare(timed)
        assert timed.admin.schedules.all() == edited

    def test_until_the_declaration_itself_changes(self, timed: Longshore, clock: ManualClock, beat: Any) -> None:
        timed.schedule("a", "0 3 * * *", beat.call())
        self.declare(timed)
        timed.admin.schedules.change("a", when="0 5 * * *")
        timed.admin.schedules.pause("a")
        timed.schedules.clear()
        timed.schedule("a", "0 4 * * *", beat.call())
        self.declare(timed)
        (info,) = timed.admin.schedules.all()
        assert (info.shown_when, info.paused) == ("0 4 * * * UTC", True)
        timed.admin.schedules.resume("a")
        assert timed.admin.schedules.all()[0].next == moment(Cron("0 4 * * *").after(clock()))

    @pytest.mark.parametrize(
        "declare",
        [
            lambda app, beat: app.schedule("a", "1 3 * * *", beat.call()),
            lambda app, beat: app.schedule("a", Cron("0 3 * * *", "Europe/Berlin"), beat.call()),
            lambda app, beat: app.schedule("a", "0 3 * * *", beat.call("other")),
            lambda app, beat: app.schedule("a", "0 3 * * *", beat.options(queue="q").call()),
            lambda app, beat: app.schedule("a", "0 3 * * *", beat.options(notes={"a": 1}).call()),
            lambda app, beat: app.schedule("a", "0 3 * * *", beat.call(), missed="skip"),
            lambda app, beat: app.schedule("a", "0 3 * * *", beat.call(), grace=5),
        ],
        ids=["when", "zone", "arguments", "queue", "notes", "missed", "grace"],
    )
    def test_whatever_changes_in_it(
        self, timed: Longshore, beat: Any, declare: Callable[[Longshore, Any], None]
    ) -> None:
        timed.schedule("a", "0 3 * * *", beat.call())
        self.declare(timed)
        before = timed.admin.schedules.all()
        timed.schedules.clear()
        declare(timed, beat)
        self.declare(timed)
        assert timed.admin.schedules.all() != before

    def test_the_next_tick_stays_where_the_times_do(self, timed: Longshore, clock: ManualClock, beat: Any) -> None:
        timed.schedule("a", Every(MINUTE), beat.call())
        self.declare(timed)
        due = ticks(clock, "a", 20)
        clock.advance(100)
        timed.schedules.clear()
        timed.schedule("a", Every(MINUTE), beat.call("new"), missed="all")
        self.declare(timed)
        timed.admin.schedules.tick()
        assert jobs(timed)[0] == due[0], "a start at the wrong moment lost a tick"

    def test_what_an_operator_removed_stays_away_until_it_is_declared_otherwise(
        self, timed: Longshore, beat: Any
    ) -> None:
        timed.schedule("a", "0 3 * * *", beat.call())
        self.declare(timed)
        assert timed.admin.schedules.remove("a")
        assert not timed.admin.schedules.remove("a")
        self.declare(timed)
        assert timed.admin.schedules.all() == timed.admin.schedules.tick() == ()
        timed.schedules.clear()
        timed.schedule("a", "0 4 * * *", beat.call())
        self.declare(timed)
        assert [info.next is not None for info in timed.admin.schedules.all()] == [True]

    def test_an_operator_can_bring_it_back(self, timed: Longshore, beat: Any) -> None:
        timed.schedule("a", "0 3 * * *", beat.call())
        self.declare(timed)
        timed.admin.schedules.remove("a")
        timed.admin.schedules.put("a", "0 3 * * *", beat.call("by hand"))
        self.declare(timed)
        (info,) = timed.admin.schedules.all()
        assert (info.call, info.next is not None) == ("beat(word='by hand')", True)

    def test_many_that_start_at_once_store_each_once(self, target: Any) -> None:
        def start() -> None:
            with Longshore(url) as app:
                for number in range(10):
                    app.schedule(f"{number}", "0 3 * * *", app.call_by_name("anything"))
                write_declared(app.store, app.schedules)

        with Longshore(target) as first:
            url = first.store.driver.target
            together(*[start] * 4)
            infos = first.admin.schedules.all()
        assert [info.name for info in infos] == [f"{number}" for number in range(10)]

    def test_a_name_can_be_declared_once(self, timed: Longshore, beat: Any) -> None:
        timed.schedule("beat", "0 3 * * *", beat.call())
        with pytest.raises(ConfigurationError, match="'beat' is declared already"):
            timed.schedule("0 4 * * *")(beat)
        timed.schedule("0 4 * * *", name="other")(beat)
        assert set(timed.schedules) == {"beat", "other"}

    def test_a_task_that_needs_arguments_needs_a_call(self, timed: Longshore) -> None:
        @timed.task
        def send(to: str) -> None: ...

        with pytest.raises(InvalidValue, match="to"):
            timed.schedule("@daily")(send)  # type: ignore[arg-type]
        with pytest.raises(InvalidValue, match="expected a call"):
            timed.schedule("a", "@daily", send)  # type: ignore[call-overload]

    def test_a_call_of_a_task_that_is_elsewhere_will_do(self, timed: Longshore, clock: ManualClock) -> None:
        timed.schedule("a", Every(MINUTE), timed.call_by_name("elsewhere", {"a": 1}, options=Options(queue="q")))
        self.declare(timed)
        clock.advance(MINUTE)
        timed.admin.schedules.tick()
        assert [(job.task, job.queue) for job in timed.admin.jobs().jobs] == [("elsewhere", "q")]
