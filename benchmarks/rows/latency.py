"""From ``send_mail()`` returned to the message at the server: idle relays, default settings, about one message a second.

All stand ready at the same time, each with its own server, and are asked in turn.
"""

from __future__ import annotations

import contextlib
import random
import time

from benchmarks import contestants
from benchmarks.arena import Arena
from benchmarks.arrivals import Arrivals, Sender, latency
from benchmarks.contestants import Contestant
from benchmarks.processes import stop
from benchmarks.record import Record

MESSAGES, QUICK_MESSAGES, WARM_UP = 100, 60, 5
PAUSE = 1.0


def run(place: Arena) -> Record:
    chosen = [
        contestants.runrelay(),
        contestants.worker("worker", 2, place.redis),
        contestants.runmailer_pg(),
    ]
    place.enter(*chosen)
    with contextlib.ExitStack() as closing:
        ready = {one.name: _ready(place, one, closing) for one in chosen}
        if place.postfix is not None:
            ready["postfix"] = _postfix_ready(place, closing)
        messages = QUICK_MESSAGES if place.quick else MESSAGES
        time.sleep(5)
        return {"messages": messages, "latencies": _measure(ready, messages)}


def _measure(ready: dict[str, tuple[Sender, Arrivals]], messages: int) -> dict[str, list[float]]:
    latencies: dict[str, list[float]] = {name: [] for name in ready}
    for number in range(messages + WARM_UP):
        for name, (sender, arrivals) in ready.items():
            time.sleep(PAUSE / len(ready) * random.uniform(0.5, 1.5))
            spent = latency(sender, arrivals)
            if number >= WARM_UP:
                latencies[name].append(spent)
    return latencies


def _ready(place: Arena, contestant: Contestant, closing: contextlib.ExitStack) -> tuple[Sender, Arrivals]:
    arrivals = Arrivals()
    closing.callback(arrivals.close)
    process = contestant.start(arrivals.port, place.folder)
    closing.callback(stop, process)
    sender = Sender.of(contestant)
    closing.callback(sender.close)
    return sender, arrivals


def _postfix_ready(place: Arena, closing: contextlib.ExitStack) -> tuple[Sender, Arrivals]:
    """Django's own SMTP backend hands the mail to it."""
    assert place.postfix is not None
    arrivals = Arrivals()
    closing.callback(arrivals.close)
    place.postfix.begin(arrivals.port)
    plain = contestants.runrelay("plain")
    plain.backend = contestants.SMTP_BACKEND
    sender = Sender.of(plain, BENCH_SMTP_PORT=str(place.postfix.port))
    closing.callback(sender.close)
    return sender, arrivals
