"""Where a row is measured: a folder, a sink, a broker and Postfix of the run's own, and how often each contender runs."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

from benchmarks.contestants import Contestant
from benchmarks.postfix import Postfix, available
from benchmarks.processes import stop, tree_seconds
from benchmarks.record import Figures, Round
from benchmarks.servers import Redis, Sink, Watch, durability, execute

Contender = Callable[[], Round]


@dataclass
class Arena:
    """One run's servers. *quick* asks for fewer messages and fewer rounds of the slowest peers."""

    folder: Path
    rounds: int
    quick: bool
    redis: Redis
    sink: Sink
    postfix: Postfix | None
    contestants: list[Contestant] = field(default_factory=list)

    def enter(self, *contestants: Contestant) -> None:
        """Set them up; they are torn down with the arena."""
        for contestant in contestants:
            self.contestants.append(contestant)
            contestant.set_up()

    def leave(self) -> None:
        while self.contestants:
            self.contestants.pop().tear_down()

    def interleave(self, contenders: dict[str, Contender], most: dict[str, int] | None = None) -> Figures:
        """Round after round, each contender in turn; *most* bounds the rounds of one that takes very long."""
        figures: Figures = {}
        for number in range(self.rounds):
            for name, contender in contenders.items():
                if number < (most or {}).get(name, self.rounds):
                    figure = contender()
                    figures.setdefault(name, []).append(figure)
                    told = ", ".join(f"{key} {value:.4g}" for key, value in figure.items() if value is not None)
                    print(f"  round {number + 1} {name}: {told}", flush=True)
        return figures


@contextlib.contextmanager
def arena(rounds: int, *, quick: bool) -> Iterator[Arena]:
    with tempfile.TemporaryDirectory(prefix="email-relay-bench-") as name, contextlib.ExitStack() as closing:
        folder = Path(name)
        folder.chmod(0o755)
        redis, sink = Redis(folder), Sink(folder)
        postfix = Postfix(folder) if available() else None
        for server in (redis, sink, *([postfix] if postfix else [])):
            closing.callback(server.close)
        place = Arena(folder, rounds, quick, redis, sink, postfix)
        closing.callback(place.leave)
        yield place


def surroundings(place: Arena) -> dict[str, object]:
    """What a reader must know of a run to judge its figures."""
    return {"rounds": place.rounds, "quick": place.quick, "load": os.getloadavg()[0], "database": durability()}


def drain_round(place: Arena, contestant: Contestant, count: int, port: int, timeout: float = 300) -> Round:
    """Queue, start the drainer, and watch the sink."""
    contestant.empty()
    contestant.send(count)
    return watched(place, contestant, count, port, timeout)


def watched(place: Arena, contestant: Contestant, count: int, port: int, timeout: float) -> Round:
    execute(contestant.database, "CHECKPOINT")
    began = time.monotonic()
    process = contestant.start(port, place.folder)
    watch = Watch(place.sink, count, timeout, lambda: tree_seconds(process.pid))
    try:
        rate = watch.rate()
        seconds = (watch.last or time.monotonic()) - began
        time.sleep(0.3)  # the last settle counts too
        # a drainer that has ended took its CPU time with it: not measured is not nothing
        used = tree_seconds(process.pid) if process.poll() is None else None
    finally:
        stop(process)
    return {
        "rate": rate,
        "seconds": seconds,
        "cpu_ms": None if used is None else 1000 * used / count,
        "steady_ms": steady(used, watch),
    }


def steady(used: float | None, watch: Watch) -> float | None:
    """CPU milliseconds a message from the first to the last: without the start of the processes."""
    rest = watch.awaited - watch.first_count
    if used is None or watch.sampled is None or not rest:
        return None
    return 1000 * (used - watch.sampled) / rest
