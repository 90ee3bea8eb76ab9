"""Results as a page of Markdown; every figure on it was measured in the run it reports."""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmarks.goals import goals, own_microseconds
from benchmarks.programs import DRAIN, DRAIN_BACKLOG, ENQUEUE_BULK, ENQUEUE_ONE, LATER_SECONDS, PHASES
from benchmarks.run import LEADERS, Effort, Results

NOTHING = "-"
TITLES = {"sqlite": "SQLite", "postgres": "PostgreSQL", "mariadb": "MariaDB", "redis": "Redis", "mongo": "MongoDB"}
SETTINGS = {
    "mariadb": """on a server of its own with its default durability, reached by TCP on the loopback. CPU is that of
the programs; the server has its own.""",
    "mongo": """on a server of its own, a replica set of one with its default durability, reached by TCP on the
loopback; every program writes with `w=majority` and `journal=true`. CPU is that of the programs; the server has its
own. All peers are in the environment of `tox run -e bench-mongo`.""",
    "postgres": """on a server of its own with its default durability, reached by TCP on the loopback. CPU is that of
the programs; the server has its own. Drained at best: as many at a time as the program is fastest with. All
peers are in the environment of `tox run -e bench-postgres`.""",
    "sqlite": """on a database of its own on a disk. Unless its row says otherwise a program commits with WAL and
`synchronous=FULL`.""",
    "redis": """on a server of its own with `appendonly yes` and `appendfsync everysec`, reached by TCP on the
loopback. CPU is that of the programs; the server has its own.""",
}
POLLING = {
    "mariadb": "",
    "mongo": "",
    "postgres": "",
    "sqlite": """Peers have no wake-up between processes; they poll here every millisecond, and the idle column says
what that costs.
""",
    "redis": "",
}


def page(results: Results, facts: Mapping[str, str], effort: Effort) -> str:
    """The whole page."""
    sections = [
        _introduction(results.store, facts, effort),
        _missing(results),
        _goal_table(results),
        _own_time(results),
    ]
    sections += [_speeds(results, effort), _pick_ups(results), _promises(results), _rounds(results)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, [":--" if column == 0 else "--:" for column in range(len(heads))], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: float | None, form: str = ",.0f") -> str:
    return NOTHING if value is None else format(value, form)


def _introduction(store: str, facts: Mapping[str, str], effort: Effort) -> str:
    return f"""# Benchmark results: {TITLES[store]}

Written by `python -m benchmarks --store {store}`; repeat it with `make bench ARGS="--store {store}"`. Every figure
comes from that one run.

{_table(["Machine", ""], facts.items())}

Each phase of each program runs after a warm-up of {effort.warm_up:,} no-op jobs with one integer argument. The programs
take turns; figures are medians over the rounds, which stand at the end: {effort.rounds} of all programs, then
{effort.finals} more of the limit, Longshore and the {LEADERS} best peers (of the pick-up {effort.pick_up_rounds}, then
{effort.pick_up_finals}). With a backlog and without Longshore is measured in pairs ({effort.backlog_rounds}), one
straight after the other, the limit once. CPU is user and system time of all threads of the process. Each runs in a
process of its own,
{SETTINGS[store]}"""


def _missing(results: Results) -> str:
    return "\n".join(f"Not measured: {name} ({reason})." for name, reason in results.missing.items())


def _goal_table(results: Results) -> str:
    rows = [(goal.what, goal.wanted, goal.found, "met" if goal.met else "**missed**") for goal in goals(results)]
    return "## Goals\n\n" + _table(["Goal", "Wanted", "Measured", ""], rows) if rows else ""


def _own_time(results: Results) -> str:
    """Longshore's CPU per job, less what the hand-written loop needs for the same."""
    rows = []
    for phase in (ENQUEUE_ONE, ENQUEUE_BULK, DRAIN, DRAIN_BACKLOG):
        own = own_microseconds(results, phase)
        if own is not None:
            both = [_number(results.cpu(name, phase), ".1f") for name in ("longshore", "limit")]
            least = results.least_cpu("longshore", phase) - results.least_cpu("limit", phase)
            rows.append([phase, *both, f"{own:.1f}", f"{least:.1f}"])
    heads = ["µs of CPU per job", "Longshore", "limit", "own time", "of the best round of each"]
    return "## Longshore's own time per job\n\n" + _table(heads, rows) if rows else ""


def _speeds(results: Results, effort: Effort) -> str:
    heading = f"## Speed\n\nThe backlog is {effort.backlog:,} jobs. The limit drains by 100; peers as fast as they can."
    return heading + "".join(f"\n\n### {phase.capitalize()}\n\n{_speed_table(results, phase)}" for phase in PHASES)


def _speed_table(results: Results, phase: str) -> str:
    limit, best = results.speed("limit", phase), results.best_peer(phase)[1]
    rows = []
    for name, program in results.programs.items():
        speed = results.speed(name, phase)
        if speed is not None:
            memory = results.median(name, phase, lambda sample: sample.megabytes)
            figures = [_number(speed), _number(results.cpu(name, phase), ".1f"), _number(memory)]
            rows.append([program.title, *figures, _ratio(speed, best), _ratio(speed, limit)])
    heads = ["", "jobs/s", "CPU µs per job", "peak MB", "times the best peer", "times the limit"]
    return _table(heads, rows) if rows else "Not measured."


def _ratio(speed: float, other: float | None) -> str:
    return NOTHING if other is None else f"{speed / other:.2f}"


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[math.ceil(len(ordered) * share) - 1]


def _pick_ups(results: Results) -> str:
    rows = []
    for name, program in results.programs.items():
        latencies, samples = results.latencies(name), results.pick_ups[name]
        if latencies:
            middle, late = statistics.median(latencies), _percentile(latencies, 0.99)
            idle = statistics.median(sample.idle_share for sample in samples)
            memory = statistics.median(sample.megabytes for sample in samples)
            rows.append([program.title, f"{middle:.2f}", f"{late:.2f}", f"{idle:.2%}", f"{memory:.0f}"])
    heads = ["", "p50 ms", "p99 ms", "idle, of one CPU", "worker's peak MB"]
    return f"""## Pick-up from another process

From just before the enqueue in one process until the job's body begins in an idle worker of another.
{POLLING[results.store]}

{_table(heads, rows)}{_due_later(results)}"""


def _due_later(results: Results) -> str:
    rows = []
    for name, program in results.programs.items():
        late = results.lateness(name)
        if late:
            rows.append([program.title, f"{statistics.median(late):.2f}", f"{_percentile(late, 0.99):.2f}"])
    heads = ["", "p50 ms", "p99 ms"]
    said = f"A job that is due {LATER_SECONDS * 1000:.0f} ms after it was enqueued begins so long after its time:"
    return f"\n\n{said}\n\n{_table(heads, rows)}" if rows else ""


def _promises(results: Results) -> str:
    lines = [f"- **{program.title}**: {program.promise}" for program in results.programs.values()]
    return "## What each promises\n\n" + "\n".join(lines)


def _rounds(results: Results) -> str:
    return "## Every round\n\n" + _table(["", "phase", "jobs/s", "CPU µs per job"], _every_round(results))


def _every_round(results: Results) -> Iterator[Sequence[str]]:
    for (name, phase), samples in results.samples.items():
        speeds_of = ", ".join(f"{sample.jobs_per_second:,.0f}".replace(",", " ") for sample in samples)
        costs = ", ".join(f"{sample.cpu_microseconds:.1f}" for sample in samples)
        yield [results.programs[name].title, phase, speeds_of, costs]
