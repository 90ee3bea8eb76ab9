"""The facts about a machine without which its figures say nothing."""

import os
import platform
import sqlite3
import statistics
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.mariadb_server import mariadb_version
from benchmarks.measure import scratch
from benchmarks.mongo_server import mongo_version
from benchmarks.postgres_server import postgres_version
from benchmarks.redis_server import redis_version

SYNCS = 300
PAGE = b"\0" * 4096
LIBRARIES = {
    "mariadb": ("sqlalchemy", "pymysql"),
    "mongo": ("pymongo", "celery", "taskiq", "taskiq-mongodb"),
    "postgres": ("sqlalchemy", "psycopg", "asyncpg", "pgqueuer", "procrastinate", "saq"),
    "sqlite": ("sqlalchemy", "huey", "persist-queue", "litequeue"),
    "redis": ("redis", "hiredis", "arq", "bullmq", "celery", "dramatiq", "huey", "rq", "saq", "taskiq", "taskiq-redis"),
}


def facts(store: str) -> dict[str, str]:
    """Name and value of what stays as it is during a run, in the order to print it."""
    return {
        "Date": f"{datetime.now(UTC):%Y-%m-%d}",
        "CPU": f"{os.cpu_count()} cores, {_processor()}",
        "System": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        **_version_of(store),
        "Libraries": ", ".join(f"{name} {_version(name)}" for name in LIBRARIES[store]),
    }


def strain(disk: Path) -> dict[str, str]:
    """Name and value of what others on the machine change: figures of a crowded machine show here."""
    return {
        "Write of 4 KiB and `fdatasync`": f"{_sync_microseconds(disk):.0f} µs",
        "Load average": f"{os.getloadavg()[0]:.1f}",
    }


def processor_time() -> tuple[int, int]:
    """Ticks since the start for which processors were wanted, and those of them that the host gave to others."""
    first = Path("/proc/stat").read_text().splitlines()[0]
    user, nice, system, _idle, _waiting, interrupts, softly, stolen = map(int, first.split()[1:9])
    return user + nice + system + interrupts + softly + stolen, stolen


def stolen_since(before: tuple[int, int]) -> dict[str, str]:
    """What the machine's host took away during a run: wall clocks stretch by it, for all programs alike on average."""
    wanted, stolen = (after - earlier for after, earlier in zip(processor_time(), before, strict=True))
    return {"Processor time that the host gave to others": f"{stolen / max(wanted, 1):.0%}"}


def _version_of(store: str) -> dict[str, str]:
    if store == "mariadb":
        return {"MariaDB": mariadb_version()}
    if store == "postgres":
        return {"PostgreSQL": postgres_version()}
    if store == "mongo":
        return {"MongoDB": mongo_version()}
    return {"Redis": redis_version()} if store == "redis" else {"SQLite": sqlite3.sqlite_version}


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # A run of Longshore alone needs no peer.
        return "not installed"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return "model unknown"


def _sync_microseconds(disk: Path) -> float:
    """What one durable write costs, the least that a commit can take: a median."""
    with scratch(disk) as directory, (directory / "sync").open("wb", buffering=0) as file:
        costs = []
        for _ in range(SYNCS):
            start = time.perf_counter()
            file.write(PAGE)
            os.fdatasync(file.fileno())
            costs.append(time.perf_counter() - start)
    return statistics.median(costs) * 1e6
