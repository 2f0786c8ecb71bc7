"""What ``send_mail()`` costs the sending project, one by one."""

from __future__ import annotations

from functools import partial

from benchmarks import contestants
from benchmarks.arena import Arena
from benchmarks.contestants import Contestant
from benchmarks.record import Record, Round

COUNT = 1_000


def run(place: Arena) -> Record:
    chosen = [
        contestants.runrelay("client"),
        contestants.relay_0_6_0(),
        contestants.post_office(),
        contestants.celery_email(place.redis),
    ]
    place.enter(*chosen)
    return {"messages": COUNT, "figures": place.interleave({one.name: partial(_round, one) for one in chosen})}


def _round(contestant: Contestant) -> Round:
    contestant.empty()
    measured = contestant.send(COUNT, "single")
    seconds = measured["seconds"]
    return {"rate": COUNT / seconds, "seconds": seconds, "cpu_ms": 1000 * measured["cpu"] / COUNT}
