"""Where the CPU time of a drain goes: of the thread that speaks to the database, part by part, and of the couriers."""

from __future__ import annotations

import time
from functools import partial, wraps
from typing import Any, Callable

from benchmarks import contestants
from benchmarks.arena import Arena
from benchmarks.inprocess import in_child
from benchmarks.record import Record, Round

COUNT = 10_000


def run(place: Arena) -> Record:
    relay = contestants.runrelay()
    place.enter(relay)
    return {"messages": COUNT, "figures": place.interleave({"in one process": partial(_round, place, relay)})}


def _round(place: Arena, relay: contestants.Contestant) -> Round:
    relay.empty()
    relay.send(COUNT)
    figure: Round = in_child(
        _drain,
        relay.database,
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=place.sink.port,
        EMAIL_BACKEND=contestants.SMTP_BACKEND,
    )
    return figure


def _drain(_database: str) -> Round:
    from email_relay.relay import drain as module
    from email_relay.relay import keeping

    spent: dict[str, float] = {}
    module.leases.claim = _timed("claim", module.leases.claim, spent)
    keeping.settle = _timed("settle", keeping.settle, spent)
    keeping.announce = _timed("log and signals", keeping.announce, spent)
    module.sift = _timed("sift", module.sift, spent)
    module.Judge.judge = _timed("judge", module.Judge.judge, spent)
    began, whole, own = time.monotonic(), time.process_time(), time.thread_time()
    report = module.drain()
    own, whole = time.thread_time() - own, time.process_time() - whole
    assert report.sent == COUNT, str(report)
    parts = {**spent, "rest of that thread": own - sum(spent.values()), "couriers": whole - own, "all": whole}
    figure: Round = {name: 1000 * seconds / COUNT for name, seconds in parts.items()}
    return {**figure, "rate": COUNT / (time.monotonic() - began)}


def _timed(name: str, function: Callable[..., Any], spent: dict[str, float]) -> Callable[..., Any]:
    @wraps(function)
    def timed(*arguments: Any, **named: Any) -> Any:
        began = time.thread_time()
        try:
            return function(*arguments, **named)
        finally:
            spent[name] = spent.get(name, 0.0) + time.thread_time() - began

    return timed
