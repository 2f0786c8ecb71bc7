"""Idle relays, all at once: what they ask of the database at each poll, and how much of a core they take."""

from __future__ import annotations

import contextlib
import time

from benchmarks import contestants
from benchmarks.arena import Arena
from benchmarks.contestants import Contestant
from benchmarks.processes import stop, tree_seconds
from benchmarks.record import Record, Round
from benchmarks.servers import execute

SECONDS, POLL = 60.0, 1.0
START = 25.0
"""PostgreSQL counts what a link asked up to ten seconds after it fell idle: at ten, what the start asked was still to come."""
ASKED = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"


def run(place: Arena) -> Record:
    """CPU with default settings; queries with a poll each second, so that there are enough of them."""
    default = [contestants.runrelay(), contestants.worker("worker", 2, place.redis)]
    often = [
        contestants.runrelay("runrelay, polling", EMPTY_QUEUE_SLEEP=POLL),
        contestants.worker("worker, polling", 2, place.redis, DJANGO_EMAIL_RELAY__EMPTY_QUEUE_SLEEP=POLL),
    ]
    often[1].redis_number = 8
    place.enter(*default, *often)
    figures = _watch(place, [*default, *often])
    return {
        "poll_seconds": POLL,
        "figures": {
            **{one.name: [{"core_percent": figures[one.name]["core_percent"]}] for one in default},
            **{one.name: [figures[one.name]] for one in often},
        },
    }


def _watch(place: Arena, relays: list[Contestant]) -> dict[str, Round]:
    seconds = SECONDS / 2 if place.quick else SECONDS
    with contextlib.ExitStack() as closing:
        processes = {}
        for one in relays:
            processes[one.name] = one.start(place.sink.port, place.folder)
            closing.callback(stop, processes[one.name])
        time.sleep(START)
        before = {one.name: (_asked(one), tree_seconds(processes[one.name].pid)) for one in relays}
        time.sleep(seconds)
        return {
            one.name: {
                "transactions_a_poll": (_asked(one) - before[one.name][0]) * POLL / seconds,
                "core_percent": 100 * (tree_seconds(processes[one.name].pid) - before[one.name][1]) / seconds,
            }
            for one in relays
        }


def _asked(contestant: Contestant) -> int:
    """Without a transaction around them statements are transactions; asked from another database."""
    return int(execute("postgres", ASKED, [contestant.database])[0][0])
