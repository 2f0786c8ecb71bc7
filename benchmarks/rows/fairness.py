"""One source sends a message now and then: alone, and while another has a hundred thousand waiting; in turns."""

from __future__ import annotations

import contextlib
import time

from benchmarks import contestants
from benchmarks.arena import Arena
from benchmarks.arrivals import Arrivals, Sender, latency
from benchmarks.processes import stop
from benchmarks.record import Record
from benchmarks.rows.beside import FILL, QUEUED
from benchmarks.servers import execute

BACKLOG, SAMPLES = 100_000, 25
PAUSE = 0.2
WAITING = "SELECT count(*) FROM email_relay_message WHERE status IN (1, 2)"


def run(place: Arena) -> Record:
    relay = contestants.runrelay()
    place.enter(relay)
    with contextlib.ExitStack() as closing:
        arrivals = Arrivals()
        closing.callback(arrivals.close)
        closing.callback(stop, relay.start(arrivals.port, place.folder))
        sender = Sender.of(relay)
        closing.callback(sender.close)
        latency(sender, arrivals)
        alone: list[float] = []
        beside: list[float] = []
        waiting = []
        for number in range(place.rounds):
            alone += _samples(sender, arrivals)
            execute(relay.database, ONE_SOURCE.format(**QUEUED, count=BACKLOG))
            time.sleep(1)
            beside += _samples(sender, arrivals)
            waiting.append(execute(relay.database, WAITING)[0][0])
            print(f"  round {number + 1}: {waiting[-1]} still waited at its end", flush=True)
            execute(relay.database, "DELETE FROM email_relay_message WHERE status IN (1, 2, 4)")
            execute(relay.database, "VACUUM ANALYZE email_relay_message")
    return {"messages": BACKLOG, "latencies": {"alone": alone, "beside a backlog": beside}, "waiting": waiting}


ONE_SOURCE = FILL.replace("'source' || i % 5", "'newsletters'")


def _samples(sender: Sender, arrivals: Arrivals) -> list[float]:
    taken = []
    for _ in range(SAMPLES):
        time.sleep(PAUSE)
        taken.append(latency(sender, arrivals))
    return taken
