"""What Longshore is to reach on each store, and whether this run reached it."""

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks.programs import DRAIN, DRAIN_BEST, ENQUEUE_BULK, ENQUEUE_ONE
from benchmarks.run import Results

OWN_MICROSECONDS = {ENQUEUE_ONE: 60, ENQUEUE_BULK: 15, DRAIN: 40}
LATE_MILLISECONDS = 5
IDLE_SHARE = 0.005
WORKER_MEGABYTES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What differs from store to store: how many times the best peer in a phase, how quick a pick-up, the share of the
    speed without a backlog that is left with one, and that of the limit's speed in a phase."""

    times_the_best_peer: Mapping[str, float]
    pick_up_milliseconds: float
    with_backlog: float | None = None
    share_of_the_limit: Mapping[str, float] = field(default_factory=dict)
    own_microseconds: Mapping[str, float] = field(default_factory=lambda: OWN_MICROSECONDS)


WANTED = {
    "mariadb": Wanted(times_the_best_peer={}, pick_up_milliseconds=60, with_backlog=0.8),
    "mongo": Wanted(
        times_the_best_peer={DRAIN: 10},
        pick_up_milliseconds=5,
        with_backlog=0.8,
        share_of_the_limit={ENQUEUE_ONE: 0.5, ENQUEUE_BULK: 0.5, DRAIN: 0.5},
    ),
    "postgres": Wanted(
        times_the_best_peer={ENQUEUE_ONE: 1.5, ENQUEUE_BULK: 1.5, DRAIN: 3, DRAIN_BEST: 1.5},
        pick_up_milliseconds=2,
        with_backlog=0.8,
    ),
    "sqlite": Wanted(times_the_best_peer={DRAIN: 5}, pick_up_milliseconds=5),
    "redis": Wanted(
        times_the_best_peer={DRAIN: 5, ENQUEUE_BULK: 3, ENQUEUE_ONE: 1}, pick_up_milliseconds=1, with_backlog=0.8
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One goal, as it is printed."""

    what: str
    wanted: str
    found: str
    met: bool


def own_microseconds(results: Results, phase: str) -> float | None:
    """Longshore's own time per job: its CPU time less the limit program's."""
    ours, limit = results.cpu("longshore", phase), results.cpu("limit", phase)
    return None if ours is None or limit is None else ours - limit


def goals(results: Results) -> Iterator[Goal]:
    """Every goal for which this run has figures."""
    wanted = WANTED[results.store]
    for phase, most in wanted.own_microseconds.items():
        own = own_microseconds(results, phase)
        if own is not None:
            yield Goal(
                what=f"own time per job, {phase}", wanted=f"at most {most} µs", found=f"{own:.1f} µs", met=own <= most
            )
    for phase, times in wanted.times_the_best_peer.items():
        yield from _speed_goal(results, phase, times)
    for phase, share in wanted.share_of_the_limit.items():
        yield from _limit_goal(results, phase, share)
    yield from _backlog_goal(results, wanted.with_backlog)
    yield from _worker_goals(results, wanted.pick_up_milliseconds)


def _speed_goal(results: Results, phase: str, times: float) -> Iterator[Goal]:
    ours, (title, best) = results.speed("longshore", phase), results.best_peer(phase)
    if ours is not None and best is not None:
        yield Goal(
            what=f"{phase} beside the best peer, {title}",
            wanted=f"at least {times:g} times",
            found=f"{ours / best:.1f} times",
            met=ours >= times * best,
        )


def _limit_goal(results: Results, phase: str, share: float) -> Iterator[Goal]:
    ours, limit = results.speed("longshore", phase), results.speed("limit", phase)
    if ours is not None and limit is not None:
        yield Goal(
            what=f"{phase} beside the limit",
            wanted=f"at least {share:.0%}",
            found=f"{ours / limit:.0%}",
            met=ours >= share * limit,
        )


def _backlog_goal(results: Results, least: float | None) -> Iterator[Goal]:
    left = results.left_with_backlog()
    if least is not None and left is not None:
        yield Goal(
            what=f"drain with a backlog, of that without, median of {len(results.pairs)} pairs",
            wanted=f"at least {least:.0%}",
            found=f"{left:.0%}",
            met=left >= least,
        )


def _worker_goals(results: Results, most_milliseconds: float) -> Iterator[Goal]:
    samples = results.pick_ups.get("longshore")
    if not samples:
        return
    middle = statistics.median(results.latencies("longshore"))
    late = statistics.median(results.lateness("longshore"))
    for what, unit, most, found in (
        ("pick-up from another process, p50", " ms", most_milliseconds, middle),
        ("a job due later begins after its time, p50", " ms", LATE_MILLISECONDS, late),
        ("an idle worker's share of a CPU", " %", IDLE_SHARE * 100, max(sample.idle_share for sample in samples) * 100),
        ("an idle worker's peak memory", " MB", WORKER_MEGABYTES, max(sample.megabytes for sample in samples)),
    ):
        yield Goal(what=what, wanted=f"under {most:g}{unit}", found=f"{found:.2f}{unit}", met=found < most)
