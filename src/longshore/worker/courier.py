"""The one thread of a worker that talks to the store about jobs: it settles and claims (docs/design/courier.md)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from longshore.contract import Answer, Change, Claim, Claimed
from longshore.errors import StoreError
from longshore.guard import Guard
from longshore.holders import Lease
from longshore.states import RELEASE, move
from longshore.worker.bell import Bell
from longshore.worker.claiming import Claiming
from longshore.worker.claims.allowance import Allowance
from longshore.worker.deadlines import Deadlines
from longshore.worker.ledger import UNFIT, Ledger
from longshore.worker.outage import FIRST_PAUSE, Outage
from longshore.worker.performing import Interrupted
from longshore.worker.runs import Run, Side
from longshore.worker.settings import WorkerSettings
from longshore.worker.suspects import is_suspect
from longshore.worker.tally import Tally
from longshore.worker.team import Team
from longshore.worker.told import Told

_log = logging.getLogger("longshore.worker")
_NOTHING: Final = Claimed([])


class Courier(Told):
    """Settles what ran and claims what is to run, both in one round trip, at once when nothing is under way.

    Everything here runs in the courier's own thread; what others tell it is in `Told`.

    Args:
        side: what makes runs of jobs, and performs them.
        team: what it shares with the couriers of other stores.
    """

    def __init__(
        self,
        side: Side,
        store: Guard,
        lease: Lease,
        settings: WorkerSettings,
        team: Team,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        bell = Bell()
        book = team.book_of(store)
        allowance = Allowance(store, lease, settings, lambda: side.tasks, book=book, monotonic=monotonic)
        claiming = Claiming(settings, lambda: side.tasks, team.berths, allowance=allowance, tell=bell.ring)
        super().__init__(bell, claiming, allowance)
        self._side = side
        self._store = store
        self._lease = lease
        self._settings = settings
        self._team = team
        self._course = team.course
        self._suspects = team.suspects
        self._monotonic = monotonic
        self._outage = Outage(bell, lease.seconds_valid)
        self._ledger = Ledger(store, [f"queue:{queue}" for queue in settings.queues], team.reactions.settled)
        self._deadlines = Deadlines(settings.grace)
        self._unsure = False
        self._events = self._looked = 0
        team.join(self)

    @property
    def tally(self) -> Tally:
        """What was done so far."""
        return self._ledger.tally

    @property
    def has_jobs(self) -> bool:
        """Whether there are any here."""
        return bool(self._ledger.known)

    def run_of(self, identity: str) -> Run | None:
        """The run of a job that is here."""
        return self._ledger.known.get(identity)

    def upkeep(self) -> AbstractContextManager[None]:
        """For as long as upkeep goes on, by any thread: who is to end when nothing is due waits for what it frees."""
        return self._team.reactions.waiting() if self._course.until_empty else nullcontext()

    def run(self) -> None:
        """Works until it is drained, or for as long as it was told to."""
        try:
            while not self._is_done():
                self._bell.silence()
                if self._ensure_lease() and self._ensure_certainty():
                    pause = self._turn()
                    self._team.turned()
                    self._bell.wait(pause)
            self._hand_back_the_rest()
        finally:
            self.leave()

    def leave(self) -> None:
        """Works no more, or has never begun to."""
        self.claiming.leave()
        self._team.leave(self, self._monotonic())

    def _is_done(self) -> bool:
        is_idle = self._ledger.is_settled() and not self._outcomes and self._team.reactions.is_done
        if not is_idle:
            self._team.term.worked()
        elif self.claiming.is_hinted and self._course.takes_jobs and not self._outage.is_on:
            return False  # Whoever has enqueued it waits.
        if self._course.is_draining:
            return is_idle or self._course.is_over(grace=1.0)
        now, muster = self._monotonic(), self._team.muster
        if is_idle and self._outage.is_on:
            return muster.leave(self, now)
        has_found_nothing = is_idle and self.claiming.is_empty and not self._suspects.awaits(now)
        if muster.is_over(self, now, self._looked if has_found_nothing else None):
            return True
        if has_found_nothing and self._course.until_empty and self._looked != muster.events:
            self.claiming.again()
        return False

    def _turn(self) -> float:
        self._collect()
        self._hand_back()
        self._stop_the_late()
        is_due = self.claiming.due_at(now := self._monotonic()) <= now or bool(self._ledger.undelivered)
        wanted = self._wanted(is_due=is_due)
        try:
            claims = self._claims(wanted, is_due=is_due)
            if claims or self._ledger.undelivered:
                self._trip(claims, wanted)
                return 0.0
        finally:
            self.claiming.gave_back()
        if not self._ledger.follower.is_done():
            self._follow()
        elif not (self._outcomes or self._is_done()):  # The last outcome may have been one of a run that was void.
            return self._time_to_sleep(wanted)
        return 0.0

    def _ensure_lease(self) -> bool:
        if self._lease.is_valid():
            return True
        self._cut_off()
        try:
            if self._lease.is_lost() and not self._course.is_draining:
                self._ledger.hand_back_all(self._lease.holder)
                self._lease.begin(self._store)
                self.allowance.rules_changed()
                return True
        except StoreError as error:
            self._outage.sit_out(error)
            return False
        self._bell.wait(FIRST_PAUSE)
        return False

    def _cut_off(self) -> None:
        """Others may run these jobs now: interrupt them here, and settle nothing."""
        if self._ledger.known:
            _log.warning("the lease of %s is over: %d runs are void", self._lease.holder, len(self._ledger.known))
        self._left(self._not_begun())
        for run in self._ledger.known.values():
            run.interrupt(Interrupted)
        self._ledger.forget_all()
        self._unsure = True

    def _ensure_certainty(self) -> bool:
        """Compares what is held with what runs here, reads what limits and pauses allow, where either may be new."""
        if not (self._unsure or self._look_at_held or self.allowance.must_read_rules):
            return True
        try:
            if self._unsure or self._look_at_held:
                self._compare()
            if self.allowance.must_read_rules:
                self._read_rules()
        except StoreError as error:
            self._outage.sit_out(error)
            return False
        self._outage.is_over()
        return True

    def _compare(self) -> None:
        self._look_at_held = False
        if self._unsure:
            self._collect()
            self._ledger.deliver_again()
        self._ledger.compare(self._lease.holder)
        self._unsure = False

    def _read_rules(self) -> None:
        concerned = self.allowance.read_rules()
        if concerned is not None:  # Nothing of theirs begins before it is claimed anew.
            self._release(self._taken_back(concerned))
            self.allowance.count(self._ledger.on())
            self.claiming.again()

    def _collect(self) -> None:
        if not self._outcomes:
            return
        outcomes = [self._outcomes.popleft() for _ in range(len(self._outcomes))]
        self._team.muster.stirred()
        self._team.berths.took([(run.job.task, seconds) for run, _, seconds in outcomes])
        self._left([run for run, _, _ in outcomes])
        for run, change, _ in outcomes:
            if self._ledger.holds(run):
                self._ledger.undelivered[run.job.id] = change or self._side.without_outcome(run)
        # Only after a run: one whose process begins with more than it may have still does some work.
        if (reason := self._team.term.reason_to_retire()) is not None:
            self._retire(reason)

    def _left(self, runs: Sequence[Run]) -> None:
        """Runs are over, or were taken back before they began."""
        self.claiming.ends(runs)
        self.allowance.ends(runs)
        for run in runs:
            self._deadlines.remove(run)
            self._suspects.ends(run)

    def _retire(self, reason: str) -> None:
        """Takes nothing more, hands back what has not begun, and ends when the rest has, whenever that is."""
        if self._course.retired is None:
            _log.warning("%s ends to be replaced: %s", self._lease.holder, reason)
            self._team.retire(reason)

    def _stop_the_late(self) -> None:
        for run in self._deadlines.stuck(self._monotonic()):
            if self._ledger.holds(run):
                self._ledger.undelivered[run.job.id] = self._side.without_outcome(run)
            self._retire(f"a run of {run.job.task} goes on after its time")

    def _hand_back(self) -> None:
        if not self._course.takes_jobs:
            back = self._not_begun()
            if self._course.is_over():
                self._interrupt_all()
        elif self._team.slots.oldest() < (since := self._monotonic() - self._settings.hold):
            back = self._taken_back(lambda run: run.taken < since)
            if back:
                self._team.berths.pace.stalled()
        else:
            return
        self._release(back)

    def _not_begun(self) -> list[Run]:
        suspect = self._suspects.released(self._side)
        return [*self._taken_back(), *([suspect] if suspect else [])]

    def _taken_back(self, choose: Callable[[Run], bool] = lambda run: True) -> list[Run]:
        return self._team.slots.take_back(lambda run: run.side is self._side and choose(run))

    def _release(self, runs: list[Run]) -> None:
        self._left(runs)
        for run in runs:
            if self._ledger.holds(run):
                self._ledger.undelivered[run.job.id] = move(RELEASE, run.job)

    def _hand_back_the_rest(self) -> None:
        """What runs on after the grace time, or was not delivered in it, once more; else it waits for a rescue."""
        self._collect()
        for run in self._ledger.known.values():
            run.interrupt(Interrupted)
            self._ledger.undelivered.setdefault(run.job.id, self._side.without_outcome(run))
        if self._ledger.undelivered and self._lease.is_valid():
            try:
                self._ledger.deliver_again()
                self._ledger.follower.finish()
            except StoreError as error:
                _log.warning("%d jobs of %s wait for a rescue: %s", len(self._ledger.known), self._lease.holder, error)

    def _interrupt_all(self) -> None:
        late = self._course.is_over(grace=0.5)
        for identity, run in self._ledger.known.items():
            run.interrupt(Interrupted)
            if late and identity not in self._ledger.undelivered:
                self._ledger.undelivered[identity] = self._side.without_outcome(run)

    def _wanted(self, *, is_due: bool) -> int:
        """How many jobs there is room for; if a claim is due, that room is taken for it."""
        now = self._monotonic()
        if not self._course.takes_jobs or self._team.reactions.is_behind or now < self._suspects.watched_until(now):
            return 0
        return self.claiming.ask(self._team.slots.spare_room()) if is_due else self.claiming.wanted()

    def _claims(self, wanted: int, *, is_due: bool) -> list[Claim]:
        """What is asked for now, once the tokens for it are taken."""
        now = self._monotonic()
        is_due = is_due and wanted > 0
        if self.allowance.is_limited and (is_due or self.allowance.tidy_at() <= now):
            try:
                self.allowance.step(wanted, self.claiming.free(wanted), is_claiming=is_due)
            except StoreError as error:
                self._outage.sit_out(error)
                return []
        if not is_due or not self._team.muster.join(self):
            return []
        self._events = self._team.muster.events
        claims = self.claiming.claims(wanted, now)
        if not claims:
            self._looked = self._events
        return claims

    def _time_to_sleep(self, wanted: int) -> float:
        now = self._monotonic()
        ends = [now + min(self._settings.heartbeat, self._lease.seconds_valid()), self._deadlines.next(now)]
        ends += [self._course.next(now), self.allowance.tidy_at(), self.claiming.ask_again_at()]
        if (idle_end := self._team.term.idle_end()) > now:  # Else others are not idle, and say when they are.
            ends.append(idle_end)
        if wanted > 0:
            ends.append(self.claiming.due_at(now))
        if self._team.slots.waiting():
            ends.append(now + self._settings.hold / 2)
        if (watched := self._suspects.watched_until(now)) > now:
            ends.append(watched)
        return max(0.0, min(ends) - now)

    def _trip(self, claims: list[Claim], wanted: int) -> None:
        changes = list(self._ledger.undelivered.values())
        try:
            answers, claimed = self._exchange(changes, claims, wanted)
        except StoreError as error:
            self._unsure = True
            if claims:
                self.claiming.again()
            self._outage.sit_out(error)
            return
        except UNFIT:
            _log.exception("the store refused %d changes: delivering them one by one", len(changes))
            self._unsure = True
            self.claiming.again()
            self._ledger.deliver_singly()
            return
        self._outage.is_over()
        self._ledger.settle(answers)
        if claims:
            self._looked = self._events
            self._take(claimed, wanted)
        self._follow()
        if not self._ledger.undelivered and (suspect := self._suspects.released(self._side)):
            self._team.slots.put(suspect)

    def _follow(self) -> None:
        """One step of what follows from the ends; what it gives to queues of this worker is claimed at once."""
        follower = self._ledger.follower
        if follower.is_done():
            return
        try:
            follower.step()
        except StoreError as error:
            self.claiming.again()  # It may have released jobs all the same.
            self._outage.sit_out(error)
            return
        # Upkeep may have released, before this looked, what the last claim could not see: who is to end when nothing is
        # due looks once more.
        if self._course.until_empty or not follower.queues.isdisjoint(self._settings.queues):
            self._team.muster.stirred()  # Callbacks of groups may be in other stores.
            self.claiming.again()
        follower.queues.clear()

    def _exchange(self, changes: list[Change], claims: list[Claim], wanted: int) -> tuple[list[Answer], Claimed]:
        if not claims:
            return self._store.update(changes), _NOTHING
        holder, most = self._lease.holder, self._settings.batch_bytes
        if changes:
            return self._store.exchange(changes, claims, holder=holder, limit=wanted, max_bytes=most)
        return [], self._store.claim(claims, holder=holder, limit=wanted, max_bytes=most)

    def _take(self, claimed: Claimed, wanted: int) -> None:
        now = self._monotonic()
        taken = [run for run in (self._side.run_of(job, now) for job in claimed.jobs) if self._known(run, now)]
        self._team.slots.put(*taken)  # Before all that nobody waits for.
        self.claiming.answered(claimed, now)
        self._ledger.follower.meet(claimed.expired)
        self.claiming.gave_back(claimed.jobs)
        self.claiming.placed(wanted, len(claimed.jobs))
        if self._team.slots.waiting() and not all(map(self.claiming.is_quick, {job.task for job in claimed.jobs})):
            far = self.claiming.too_far()
            self._release(self._taken_back(far.__contains__) if far else [])

    def _known(self, run: Run, now: float) -> bool:
        """Takes a run in; tells whether it may be lined up now."""
        job, is_suspected = run.job, is_suspect(run.job)
        if is_suspected and not self._suspects.hold(run):
            self._ledger.undelivered[job.id] = self._suspects.put_off(job, now)
            return False
        if not self.claiming.begins(run):
            self._suspects.ends(run)
            self._ledger.hand_back(job)
            return False
        if earlier := self._ledger.known.get(job.id):
            earlier.interrupt(Interrupted)  # Somebody retried the job while it ran here.
        self._ledger.take(run)
        self.allowance.begins(run)
        self._deadlines.add(run)
        return not is_suspected
