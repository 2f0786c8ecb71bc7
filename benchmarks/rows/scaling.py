"""One worker process and four against a server each of whose answers comes 50 ms late."""

from __future__ import annotations

from functools import partial

from benchmarks import contestants
from benchmarks.arena import Arena, drain_round
from benchmarks.record import Record
from benchmarks.servers import Late

COUNT, QUICK_COUNT, SECONDS = 8_000, 4_000, 0.05


def run(place: Arena) -> Record:
    count = QUICK_COUNT if place.quick else COUNT
    chosen = [
        contestants.worker("1 process", 1, place.redis),
        contestants.worker("4 processes", 4, place.redis),
    ]
    place.enter(*chosen)
    late = Late(place.sink.port, SECONDS)
    try:
        figures = place.interleave({one.name: partial(drain_round, place, one, count, late.port) for one in chosen})
    finally:
        late.close()
    return {"messages": count, "figures": figures}
