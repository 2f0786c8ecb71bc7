"""What must not grow: memory and file descriptors of processes, tables and indexes of the queue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from tests.chaos.installation import Installation

SIZES = """
SELECT pg_table_size('email_relay_message'), pg_indexes_size('email_relay_message'),
       (SELECT count(*) FROM email_relay_message), (SELECT count(*) FROM email_relay_message WHERE status <> 4)
"""
MIB = 2**20


@dataclass(frozen=True)
class Reading:
    """At one moment. ``rss`` and ``descriptors`` are those of the relay nobody kills; the worker's are of all its processes."""

    seconds: float
    rss: int
    descriptors: int
    worker_rss: int
    table: int
    indexes: int
    rows: int
    waiting: int

    def __str__(self) -> str:
        return (
            f"{self.seconds:6.0f} s  relay {self.rss / MIB:5.1f} MiB {self.descriptors:3} fds  "
            f"worker {self.worker_rss / MIB:5.0f} MiB  table {self.table / MIB:6.1f} MiB  "
            f"indexes {self.indexes / MIB:5.1f} MiB  rows {self.rows:7} waiting {self.waiting:6}"
        )


def read(site: Installation, seconds: float, veteran: int, worker: Sequence[int]) -> Reading:
    [(table, indexes, rows, waiting)] = site.execute(SIZES)
    return Reading(seconds, rss(veteran), descriptors(veteran), sum(map(rss, worker)), table, indexes, rows, waiting)


def rss(pid: int) -> int:
    """Bytes; 0 for a process that has gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0)


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def long_enough(readings: Sequence[Reading]) -> bool:
    return len(readings) >= 9


def growth(readings: Sequence[Reading]) -> list[str]:
    """What grew: the last third of the run is held against the middle third, since the first fills up."""
    if not long_enough(readings):
        return []
    third = len(readings) // 3
    middle, last = readings[third : 2 * third], readings[2 * third :]

    def grew(what: str, factor: float, slack: float) -> bool:
        before, after = (max(getattr(reading, what) for reading in part) for part in (middle, last))
        return bool(after > factor * before + slack)

    limits = {"rss": (1.05, 2 * MIB), "descriptors": (1.0, 8), "table": (1.3, 8 * MIB), "indexes": (1.3, 8 * MIB)}
    return [what for what, (factor, slack) in limits.items() if grew(what, factor, slack)]
