"""Every call cut, before or after it took effect, and sent again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from longshore.contract import (
    EVERY,
    SECOND,
    By,
    Change,
    Claim,
    Driver,
    Insertion,
    Outcome,
    Record,
    State,
    StoredJob,
    Where,
    Write,
)
from longshore.errors import Unavailable
from longshore.testing.faults.cut import CutDriver, Moment
from longshore.testing.fixtures import StoreFixtures, one_place
from longshore.testing.samples import (
    ANNA,
    BERT,
    QUEUE,
    end,
    ids,
    names,
    new_job,
    outcomes,
    put,
    run,
    settle,
    start,
    stored,
    stored_job,
    walk,
)

CLAIMS = [Claim(queues=(QUEUE,))]
Call = Callable[[Driver], object]
Stored = tuple[list[StoredJob], list[Record]]


def fill(store: Driver) -> None:
    """What the calls find."""
    put(store, new_job("ended", unique_key="u"), new_job("parent"))
    run(store, "run", unique_key="v", notes={"n": 1})
    run(store, "other run")
    end(store, "ended")
    put(store, *(new_job(name, unique_key=f"u {name}") for name in names(5)))
    put(store, new_job("child", parents=("parent",), waiting=True))
    store.write([Write("kind", "a", b"old")])


def run_of(identity: str, to: State, **more: object) -> Change:
    """What the first run of a job says about itself."""
    job = stored_job(identity, State.RUNNING, 0, generation=1, holder=ANNA)
    return settle(job, to, **more)


RENEW = Change("ended", State.PENDING, fields={"unique_held": True}, generation=0, renews=True)
CALLS: dict[str, tuple[str, Call]] = {
    "insert": ("insert", lambda store: store.insert([new_job("new", unique_key="w"), new_job("run")])),
    "insert a key": ("insert", lambda store: store.insert([new_job("a", key="k"), new_job("b", key="k")])),
    "restore": ("insert", lambda store: store.insert([stored_job("old", State.FAILED, 5 * SECOND, ended=6 * SECOND)])),
    "finish": ("update", lambda store: store.update([run_of("run", State.SUCCEEDED, fields={"result": b"r"})])),
    "fail": (
        "update",
        lambda store: store.update(
            [run_of("run", State.PENDING, fields={"attempt_record": b"t", "delay": SECOND, "notes": {"n": None}})]
        ),
    ),
    "cancel": ("update", lambda store: store.update([Change(name, State.CANCELLED) for name in ("parent", "child")])),
    "edit": ("update", lambda store: store.update([Change(names(5)[0], fields={"priority": 7, "delay": SECOND})])),
    "retry": ("update", lambda store: store.update([RENEW])),
    "write": ("write", lambda store: store.write([Write("kind", "a", b"new"), Write("kind", "b", b"new", 0)])),
    "erase": ("write", lambda store: store.write([Write("kind", "a", None)])),
    "clear": ("clear", lambda store: store.clear()),
    "migrate": ("migrate", lambda store: store.migrate()),
    "delete": ("delete", lambda store: store.delete(Where(states=[State.PENDING]))),
    "delete one": ("delete", lambda store: store.delete(Where(ids=["ended"]))),
    "select": ("select", lambda store: store.select(EVERY)),
    "count": ("count", lambda store: store.count(By.QUEUE_STATE)),
    "read": ("read", lambda store: store.read("kind")),
    "now": ("now", lambda store: store.now()),
    "wake": ("wake", lambda store: store.wake(["queue:mail"])),
    "exchange": (
        "exchange",
        lambda store: store.exchange([run_of("run", State.SUCCEEDED)], [], holder=ANNA, limit=1)[0],
    ),
}


def stored_in(store: Driver) -> Stored:
    """All that a store holds, without the versions of its records."""
    return walk(store), [replace(record, version=0) for record in store.read("kind")]


def repeated(store: CutDriver, call: Call) -> object:
    """Sends a call until it is answered."""
    while True:
        try:
            return call(store)
        except Unavailable:
            continue


class LostAnswers(StoreFixtures):
    """Cuts, at the client."""

    @pytest.mark.parametrize("moment", list(Moment))
    @pytest.mark.parametrize("name", CALLS)
    @one_place
    def test_a_cut_call_that_is_sent_again_leaves_the_same(self, store: Driver, name: str, moment: Moment) -> None:
        """Every call, cut before or after it took effect and sent again, even twice, leaves what it would have left."""
        method, call = CALLS[name]
        fill(store)
        call(store)
        wanted = stored_in(store)
        store.clear()
        fill(store)
        cut = CutDriver(store)
        cut.cut(method, moment)
        cut.cut(method, moment)
        repeated(cut, call)
        assert cut.is_whole
        assert stored_in(store) == wanted, f"{name}, sent again, left something else"

    @one_place
    def test_an_insert_sent_again_is_known_by_its_digest(self, store: Driver) -> None:
        """The answer to an insert that was sent again says which task and digest are stored."""
        job = new_job("a", digest=b"digest", unique_key="u")
        cut = CutDriver(store)
        cut.cut("insert", Moment.AFTER)
        with pytest.raises(Unavailable):
            cut.insert([job])
        (answer,) = cut.insert([job])
        assert (answer.outcome, answer.task, answer.digest) == (Insertion.REPEATED, job.task, b"digest")

    def test_jobs_of_a_lost_claim_are_adopted(self, store: Driver) -> None:
        """After a claim whose answer was lost, `select` by holder finds the jobs, whole, and their runs can settle."""
        put(store, *(new_job(name, payload=b"work") for name in names(4)))
        cut = CutDriver(store)
        cut.cut("claim", Moment.AFTER)
        with pytest.raises(Unavailable):
            cut.claim(CLAIMS, holder=ANNA, limit=3)
        lost = cut.select(Where(holder=ANNA)).jobs
        assert sorted(ids(lost)) == names(3), "jobs of a lost claim are not found by their holder"
        assert [job.payload for job in lost] == [b"work"] * 3
        assert ids(cut.claim(CLAIMS, holder=ANNA, limit=3).jobs) == names(4)[3:], "a lost claim was claimed again"
        assert outcomes(cut.update([settle(job) for job in lost])) == [Outcome.MOVED] * 3

    def test_an_exchange_sent_again_repeats_and_claims_on(self, store: Driver) -> None:
        """After an exchange whose answer was lost, its changes are answered REPEATED, and what it claimed is found by
        its holder."""
        job = run(store, "a")
        put(store, *(new_job(name) for name in names(3)))
        cut = CutDriver(store)
        cut.cut("exchange", Moment.AFTER)
        with pytest.raises(Unavailable):
            cut.exchange([settle(job)], CLAIMS, holder=ANNA, limit=2)
        assert sorted(ids(cut.select(Where(holder=ANNA)).jobs)) == names(2)
        answers, claimed = cut.exchange([settle(job)], CLAIMS, holder=ANNA, limit=2)
        assert outcomes(answers) == [Outcome.REPEATED]
        assert ids(claimed.jobs) == names(3)[2:]

    def test_a_change_of_a_batch_that_was_lost_is_answered_singly(self, store: Driver) -> None:
        """Of a batch of which some changes took effect before, these are answered REPEATED, the others MOVED."""
        runs = [run(store, name) for name in names(4)]
        changes = [settle(job) for job in runs]
        store.update(changes[1:3])
        moved, repeated = Outcome.MOVED, Outcome.REPEATED
        assert outcomes(store.update(changes)) == [moved, repeated, repeated, moved]

    def test_a_lost_change_of_a_job_that_went_on(self, store: Driver) -> None:
        """A settling change that is sent again after the job was claimed anew is answered REPEATED, and does not touch
        the new run."""
        job = run(store, "a")
        change = settle(job, State.PENDING, fields={"attempt_record": b"t"})
        cut = CutDriver(store)
        cut.cut("update", Moment.AFTER)
        with pytest.raises(Unavailable):
            cut.update([change])
        start(store, "a", holder=BERT)
        assert outcomes(cut.update([change])) == [Outcome.REPEATED]
        after = stored(store, "a")
        assert (after.state, after.holder, after.tries) == (State.RUNNING, BERT, 1)

    def test_a_lost_write_is_found_by_reading(self, store: Driver) -> None:
        """A compare-and-set that is sent again is answered None; what is read then is what it wrote."""
        (version,) = store.write([Write("kind", "a", b"1")])
        cut = CutDriver(store)
        cut.cut("write", Moment.AFTER)
        with pytest.raises(Unavailable):
            cut.write([Write("kind", "a", b"2", version)])
        assert cut.write([Write("kind", "a", b"2", version)]) == [None]
        assert cut.read("kind", ["a"])[0].value == b"2"
