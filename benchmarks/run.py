"""Which programs run how often, in which order."""

import math
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import Sample, measured
from benchmarks.pick_up import PickUpSample, picked_up
from benchmarks.programs import DRAIN, DRAIN_BACKLOG, NO_PEERS, PHASES, Program, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much to measure: rounds of all programs, further ones of those that lead, the share of each phase's jobs, and
    the sizes that all phases have in common."""

    rounds: int
    finals: int
    share: float
    warm_up: int
    backlog: int
    backlog_rounds: int
    pick_up_rounds: int
    pick_up_finals: int
    pick_ups: int
    idle_seconds: float

    def jobs(self, usual: int) -> int:
        return math.ceil(usual * self.share)


THOROUGH = Effort(
    rounds=2,
    finals=5,
    share=0.6,
    warm_up=1_000,
    backlog=1_000_000,
    backlog_rounds=7,
    pick_up_rounds=1,
    pick_up_finals=3,
    pick_ups=100,
    idle_seconds=2.0,
)
QUICK = Effort(
    rounds=1,
    finals=0,
    share=0.1,
    warm_up=200,
    backlog=20_000,
    backlog_rounds=1,
    pick_up_rounds=1,
    pick_up_finals=0,
    pick_ups=25,
    idle_seconds=0.3,
)
LEADERS = 2
SLOW_MILLISECONDS = 200


@dataclass(kw_only=True)
class Results:
    """Every sample taken, and why a program that was asked for is missing."""

    store: str
    programs: dict[str, Program] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    samples: defaultdict[tuple[str, str], list[Sample]] = field(default_factory=lambda: defaultdict(list))
    pick_ups: defaultdict[str, list[PickUpSample]] = field(default_factory=lambda: defaultdict(list))
    pairs: list[tuple[Sample, Sample]] = field(default_factory=list)
    """Longshore's drains with a backlog and without, one straight after the other."""

    def median(self, program: str, phase: str, figure: Callable[[Sample], float]) -> float | None:
        """The median over the rounds, or None for what was not measured."""
        samples = self.samples.get((program, phase))
        return statistics.median(map(figure, samples)) if samples else None

    def speed(self, program: str, phase: str) -> float | None:
        """Jobs per second."""
        return self.median(program, phase, lambda sample: sample.jobs_per_second)

    def cpu(self, program: str, phase: str) -> float | None:
        """Microseconds of CPU per job."""
        return self.median(program, phase, lambda sample: sample.cpu_microseconds)

    def least_cpu(self, program: str, phase: str) -> float:
        """Microseconds of CPU per job in the best round: on a crowded machine others only ever add to it."""
        return min(sample.cpu_microseconds for sample in self.samples[program, phase])

    def leaders(self, phase: str) -> list[str]:
        """Names of the peers that keep what a job queue has to keep, the fastest first."""
        speeds = {
            name: speed
            for name, program in self.programs.items()
            if name not in NO_PEERS and program.comparable and (speed := self.speed(name, phase))
        }
        return sorted(speeds, key=lambda name: -speeds[name])

    def quickest(self) -> list[str]:
        """Names of the peers that keep what a job queue has to keep, the one with the shortest pick-up first; but of
        none that polls so seldom that its pick-ups would take most of the run."""
        peers = (name for name in self.pick_ups if name not in NO_PEERS and self.programs[name].comparable)
        middles = {name: statistics.median(self.latencies(name)) for name in peers}
        return sorted((name for name in middles if middles[name] < SLOW_MILLISECONDS), key=lambda name: middles[name])

    def best_peer(self, phase: str) -> tuple[str, float | None]:
        """Title and jobs per second of the fastest peer that keeps what a job queue has to keep."""
        leader = next(iter(self.leaders(phase)), None)
        return ("", None) if leader is None else (self.programs[leader].title, self.speed(leader, phase))

    def left_with_backlog(self) -> float | None:
        """The share of the speed without a backlog that is left with one: the median over the pairs."""
        if not self.pairs:
            return None
        return statistics.median(behind.jobs_per_second / alone.jobs_per_second for behind, alone in self.pairs)

    def latencies(self, program: str) -> Sequence[float]:
        """All pick-ups in milliseconds, shortest first."""
        return sorted(latency for sample in self.pick_ups[program] for latency in sample.latencies)

    def lateness(self, program: str) -> Sequence[float]:
        """By how many milliseconds jobs began after the time at which they were due, shortest first."""
        return sorted(late for sample in self.pick_ups[program] for late in sample.later)


def run(store: str, names: Iterable[str], effort: Effort, disk: Path, say: Callable[[str], None]) -> Results:
    """Measure; within a phase the programs take turns, so that a slow minute hits all of them alike."""
    results = Results(store=store)
    for name in names:
        try:
            results.programs[name] = load(store, name)
        except ImportError as error:
            results.missing[name] = f"{error.name} cannot be imported"
            say(f"{name}: left out, {error}")
    for phase in PHASES:
        _measure_phase(results, phase, effort, disk, say)
    for _ in range(effort.backlog_rounds if "longshore" in results.programs else 0):
        _pair(results, effort, disk, say)
    for _ in range(effort.pick_up_rounds):
        _pick_up_each(results, results.programs, effort, disk, say)
    finalists = {*NO_PEERS, *results.quickest()[:LEADERS]}
    for _ in range(effort.pick_up_finals):
        _pick_up_each(results, finalists, effort, disk, say)
    return results


def _measure_phase(results: Results, phase: str, effort: Effort, disk: Path, say: Callable[[str], None]) -> None:
    """A few rounds of all; then only of the limit, Longshore and who leads, whose figures lie near one another."""
    if phase == DRAIN_BACKLOG:  # Takes longer to fill than to measure, and Longshore's are measured in pairs.
        _measure_each(results, phase, results.programs.keys() - {"longshore"}, effort, disk, say)
        return
    for _ in range(effort.rounds):
        _measure_each(results, phase, results.programs, effort, disk, say)
    finalists = {*NO_PEERS, *results.leaders(phase)[:LEADERS]}
    for _ in range(effort.finals):
        _measure_each(results, phase, finalists, effort, disk, say)


def _measure_each(
    results: Results, phase: str, names: Container[str], effort: Effort, disk: Path, say: Callable[[str], None]
) -> None:
    for name, program in results.programs.items():
        if name not in names or phase not in program.phases:
            continue
        try:
            sample = _measured(results, name, phase, effort, disk, say)
        except subprocess.SubprocessError as error:  # What others' programs do must not end ours.
            if name in NO_PEERS:
                raise
            results.missing[f"{name}, {phase}"] = f"a round failed: {type(error).__name__}"
            say(f"{phase}, {name}: {error}")
            continue
        results.samples[name, phase].append(sample)


def _pair(results: Results, effort: Effort, disk: Path, say: Callable[[str], None]) -> None:
    """Longshore with a backlog and straight afterwards without, so that a slow minute hits both alike."""
    behind = _measured(results, "longshore", DRAIN_BACKLOG, effort, disk, say)
    alone = _measured(results, "longshore", DRAIN, effort, disk, say)
    results.samples["longshore", DRAIN_BACKLOG].append(behind)
    results.pairs.append((behind, alone))


def _measured(
    results: Results, name: str, phase: str, effort: Effort, disk: Path, say: Callable[[str], None]
) -> Sample:
    sample = measured(
        results.store,
        name,
        phase,
        jobs=effort.jobs(results.programs[name].phases[phase].jobs),
        warm_up=effort.warm_up,
        backlog=effort.backlog,
        disk=disk,
    )
    say(f"{phase}, {name}: {sample.jobs_per_second:,.0f}/s, {sample.cpu_microseconds:.1f} µs of CPU per job")
    return sample


def _pick_up_each(
    results: Results, names: Container[str], effort: Effort, disk: Path, say: Callable[[str], None]
) -> None:
    for name, program in results.programs.items():
        if name not in names or program.pick_up is None:
            continue
        sample = picked_up(results.store, name, jobs=effort.pick_ups, idle_seconds=effort.idle_seconds, disk=disk)
        results.pick_ups[name].append(sample)
        middle = statistics.median(sample.latencies)
        say(f"pick-up, {name}: p50 {middle:.2f} ms, idle at {sample.idle_share:.2%} of a CPU")
