"""An idle relay: what it asks of the database at each poll, and how much of a core it takes."""

from __future__ import annotations

import time

from benchmarks import contestants
from benchmarks.arena import Arena
from benchmarks.contestants import Contestant
from benchmarks.processes import stop, tree_seconds
from benchmarks.record import Record, Round
from benchmarks.servers import execute

SECONDS, POLL = 60.0, 1.0
ASKED = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"


def run(place: Arena) -> Record:
    """With a poll each second, so that there are enough of them; the default is one in half a minute."""
    chosen = [
        contestants.runrelay(EMPTY_QUEUE_SLEEP=POLL),
        contestants.worker("worker", 2, place.redis, DJANGO_EMAIL_RELAY__EMPTY_QUEUE_SLEEP=POLL),
    ]
    place.enter(*chosen)
    return {"poll_seconds": POLL, "figures": {one.name: [_round(place, one)] for one in chosen}}


def _round(place: Arena, contestant: Contestant) -> Round:
    seconds = SECONDS / 2 if place.quick else SECONDS
    process = contestant.start(place.sink.port, place.folder)
    try:
        time.sleep(10)
        asked, used = _asked(contestant), tree_seconds(process.pid)
        time.sleep(seconds)
        asked, used = _asked(contestant) - asked, tree_seconds(process.pid) - used
    finally:
        stop(process)
    return {"transactions_a_poll": asked * POLL / seconds, "core_percent": 100 * used / seconds}


def _asked(contestant: Contestant) -> int:
    """Without a transaction around them statements are transactions; asked from another database."""
    return int(execute("postgres", ASKED, [contestant.database])[0][0])
