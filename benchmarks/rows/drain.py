"""So many queued text+html messages of 4 kB go out, beside the peers, Postfix and a bare loop."""

from __future__ import annotations

import time
from functools import partial

from benchmarks import contestants
from benchmarks.arena import Arena, drain_round
from benchmarks.record import Record, Round
from benchmarks.servers import Watch

SIZE = 4096
LONG, QUICK_LONG = 20_000, 6_000


def short(place: Arena) -> Record:
    return run(place, 2_000)


def long(place: Arena) -> Record:
    return run(place, QUICK_LONG if place.quick else LONG)


def run(place: Arena, count: int) -> Record:
    chosen = [
        contestants.worker("worker", 2, place.redis),
        contestants.runrelay(),
        contestants.relay_0_6_0(),
        contestants.post_office(),
        contestants.celery_email(place.redis),
    ]
    place.enter(*chosen)
    port = place.sink.port
    contenders = {one.name: partial(drain_round, place, one, count, port) for one in chosen}
    if (postfix := place.postfix) is not None:
        contenders["postfix, end to end"] = partial(postfix.end_to_end, count, SIZE, place.sink, port, 300)
        contenders["postfix, flush"] = partial(postfix.flush, count, SIZE, place.sink, 300)
    contenders["smtplib loop"] = partial(loop_round, place, count)
    # the old relay takes longer for this than all others together
    most = {"relay-0.6.0": 1} if count > 2_000 else {}
    return {"messages": count, "figures": place.interleave(contenders, most)}


def loop_round(place: Arena, count: int) -> Round:
    content = place.folder / "content.eml"
    content.write_bytes(b"Subject: loop\r\nFrom: from@example.com\r\n\r\n" + (b"x" * 76 + b"\r\n") * 55)
    began = time.monotonic()
    watch = Watch(place.sink, count, 120)
    processes = contestants.smtplib_loop(place.sink.port, count, content)
    rate = watch.rate()
    for process in processes:
        process.wait()
    return {"rate": rate, "seconds": (watch.last or time.monotonic()) - began, "cpu_ms": None, "steady_ms": None}
