"""500 messages to a server each of whose answers comes 20 ms late, with default settings."""

from __future__ import annotations

from functools import partial

from benchmarks import contestants
from benchmarks.arena import Arena, drain_round
from benchmarks.record import Record
from benchmarks.rows.drain import SIZE
from benchmarks.servers import Late

COUNT, SECONDS = 500, 0.02


def run(place: Arena) -> Record:
    chosen = [
        contestants.worker("worker", 2, place.redis),
        contestants.runrelay(),
        contestants.relay_0_6_0(),
        contestants.post_office(),
    ]
    place.enter(*chosen)
    late = Late(place.sink.port, SECONDS)
    contenders = {one.name: partial(drain_round, place, one, COUNT, late.port) for one in chosen}
    if place.postfix is not None:
        contenders["postfix, end to end"] = partial(place.postfix.end_to_end, COUNT, SIZE, place.sink, late.port, 300)
    try:
        # the old relay takes more than a minute for what the others do in seconds, and varies little
        return {"messages": COUNT, "figures": place.interleave(contenders, {"relay-0.6.0": 1})}
    finally:
        late.close()
