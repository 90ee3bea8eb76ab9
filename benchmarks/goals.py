"""What Longshore is to reach on SQLite, and whether this run reached it."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.programs import DRAIN, ENQUEUE_BULK, ENQUEUE_ONE
from benchmarks.run import Results

OWN_MICROSECONDS = {ENQUEUE_ONE: 60, ENQUEUE_BULK: 15, DRAIN: 40}
TIMES_THE_BEST_PEER = 5
PICK_UP_MILLISECONDS = 5
LATE_MILLISECONDS = 5
IDLE_SHARE = 0.005
WORKER_MEGABYTES = 60


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
    for phase, most in OWN_MICROSECONDS.items():
        own = own_microseconds(results, phase)
        if own is not None:
            yield Goal(
                what=f"own time per job, {phase}", wanted=f"at most {most} µs", found=f"{own:.1f} µs", met=own <= most
            )
    yield from _drain_goal(results)
    yield from _worker_goals(results)


def _drain_goal(results: Results) -> Iterator[Goal]:
    ours, (title, best) = results.speed("longshore", DRAIN), results.best_peer(DRAIN)
    if ours is not None and best is not None:
        yield Goal(
            what=f"drain beside the best peer, {title}",
            wanted=f"at least {TIMES_THE_BEST_PEER} times",
            found=f"{ours / best:.1f} times",
            met=ours >= TIMES_THE_BEST_PEER * best,
        )


def _worker_goals(results: Results) -> Iterator[Goal]:
    samples = results.pick_ups.get("longshore")
    if not samples:
        return
    middle = statistics.median(results.latencies("longshore"))
    late = statistics.median(results.lateness("longshore"))
    for what, unit, most, found in (
        ("pick-up from another process, p50", " ms", PICK_UP_MILLISECONDS, middle),
        ("a job due later begins after its time, p50", " ms", LATE_MILLISECONDS, late),
        ("an idle worker's share of a CPU", " %", IDLE_SHARE * 100, max(sample.idle_share for sample in samples) * 100),
        ("an idle worker's peak memory", " MB", WORKER_MEGABYTES, max(sample.megabytes for sample in samples)),
    ):
        yield Goal(what=what, wanted=f"under {most:g}{unit}", found=f"{found:.2f}{unit}", met=found < most)
