"""The recipes: thin ways to what other systems offer."""

from __future__ import annotations

import inspect

import pytest

from longshore import Context, Features, Longshore, State, Unique, recipes
from longshore.errors import LeaseLost
from longshore.recipes import Requests, SimpleQueue, append, batches, prepend
from worker.gate import Gate


def test_they_are_thin() -> None:
    assert len(inspect.getsource(recipes).splitlines()) < 150


class TestSimpleQueue:
    def test_put_get_done(self, app: Longshore) -> None:
        with SimpleQueue(app, "orders") as queue:
            queue.put({"order": 1})
            queue.put("two")
            first, second = queue.get(), queue.get()
            assert first is not None
            assert second is not None
            assert (first.data, second.data) == ({"order": 1}, "two")
            assert queue.get() is None
            queue.done(first)
            queue.done(second)
        assert app.counts("orders")[State.SUCCEEDED] == 2

    def test_what_is_not_done_is_given_to_somebody_else(self, app: Longshore) -> None:
        with SimpleQueue(app, "orders") as queue:
            queue.put(1)
            message = queue.get()
            assert message is not None
        with SimpleQueue(app, "orders") as another:
            again = another.get()
            assert again is not None
            assert again.data == 1
            with pytest.raises(LeaseLost):
                queue.done(message)
            another.done(again)

    def test_queues_and_other_jobs_are_apart(self, app: Longshore) -> None:
        with SimpleQueue(app, "orders") as orders, SimpleQueue(app, "mail") as mail:
            orders.put(1)
            app.enqueue(app.call_by_name("other", options=type(app.call_by_name("x").options)(queue="mail")))
            assert mail.get() is None

    def test_a_message_in_a_transaction_is_there_when_it_commits(self, app: Longshore) -> None:
        if Features.TRANSACTIONS not in app.store.features:
            pytest.skip("this store has no transactions")
        with SimpleQueue(app, "orders") as queue:
            with app.transaction() as transaction:
                queue.put(1, tx=transaction)
                job = queue.put(2, tx=transaction)
            assert job.info().state is State.PENDING
            assert [message.data for message in iter(queue.get, None) if message] == [1, 2]


def test_batches_are_an_iterator(app: Longshore) -> None:
    @app.task(queue="numbers")
    def number(value: int) -> None: ...

    app.enqueue_many([number.call(value) for value in range(5)])
    seen = []
    for batch in batches(app, "numbers", 2, wait=0):
        seen.append([job.arguments()["value"] for job in batch])
        for job in batch:
            job.finish()
    assert seen == [[0, 1], [2, 3], [4]]
    assert app.counts("numbers")[State.SUCCEEDED] == 5


class TestLine:
    @pytest.fixture
    def ran(self, app: Longshore) -> list[str]:
        ran: list[str] = []

        @app.task
        def load(cargo: str) -> None:
            ran.append(cargo)

        return ran

    def test_the_tail_and_the_head(self, app: Longshore, ran: list[str]) -> None:
        load = app.tasks["load"]
        for cargo in "ab":
            assert append(app, load.call(cargo), cargo) is not None
        for cargo in "yz":
            assert prepend(app, load.call(cargo), cargo) is not None
        assert append(app, load.call("c"), "c") is not None
        app.worker(slots=1).run(until_empty=True)
        assert ran == ["z", "y", "a", "b", "c"]

    def test_an_identity_is_there_once_until_it_is_taken(self, app: Longshore, gate: Gate) -> None:
        @app.task
        def stay() -> None:
            gate.stop_here()

        assert append(app, stay.call(), "a") is not None
        assert append(app, stay.call(), "a") is None
        assert prepend(app, stay.call(), "a") is None
        assert app.counts("default")[State.PENDING] == 1
        with app.worker(slots=1, poll=60.0):
            gate.arrived()
            assert append(app, stay.call(), "a") is not None, "it is free when the job is taken, not when it has ended"
            gate.open()

    def test_other_queues_and_other_unique_keys_have_identities_of_their_own(
        self, app: Longshore, ran: list[str]
    ) -> None:
        load = app.tasks["load"]
        assert append(app, load.call("a"), "a") is not None
        assert append(app, load.options(queue="other").call("a"), "a") is not None
        assert load.options(unique=Unique(key="a", until="start", if_held="raise")).enqueue("a")
        assert sum(app.counts().values()) == 3


class TestRequests:
    def test_send_check_receive(self, app: Longshore, gate: Gate) -> None:
        @app.task
        def ask(context: Context, question: str) -> str:
            context.reply(f"{question}?")
            gate.stop_here()
            context.reply(f"{question}!")
            return "silent"

        requests = Requests(app)
        identity = requests.send(ask.call("ready"))
        assert requests.check(identity) is None, "nothing before the worker ran"
        assert requests.receive(identity) is None
        with app.worker(poll=60.0):
            gate.arrived()
            assert requests.check(identity) == "ready?"
            assert requests.check(identity) is None, "nothing new"
            assert requests.receive(identity) == "ready?"
            assert requests.receive(identity) == "ready?", "it is read, not taken"
            gate.open()
            assert app.job(identity).result(timeout=15) == "silent"
        assert requests.check(identity) == "ready!"
        requests.uncheck(identity)
        assert requests.check(identity) == "ready!", "checked anew, from the beginning"
        assert requests.receive(identity) == "ready!"
