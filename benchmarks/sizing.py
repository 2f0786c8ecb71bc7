"""``python -m benchmarks.sizing``: what a message costs the database: bytes in table and indexes, bytes of WAL, transactions.

A PostgreSQL of its own, with that program's defaults: WAL counts for a whole server, so nobody else may write to it. Clients
send one message at a time; the relay is `runrelay`, and its server takes everything.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import contestants, servers
from benchmarks.contestants import Contestant
from benchmarks.processes import stop
from benchmarks.record import keep
from benchmarks.servers import execute
from tests.support.postgres import Wheel
from tests.support.smtpserver import SmtpServer
from tests.support.waiting import wait_until

TABLES = ("email_relay_message", "email_relay_attempt")


@dataclass(frozen=True)
class Reading:
    """The counters of the database at one moment."""

    wal: int
    commits: int
    table: int
    indexes: int


def read(database: str) -> Reading:
    time.sleep(1.5)  # sessions hand their counters in once a second
    counters = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, xact_commit FROM pg_stat_database "
    [(wal, commits)] = execute(database, f"{counters} WHERE datname = '{database}'")
    sizes = [execute(database, f"SELECT pg_table_size('{name}'), pg_indexes_size('{name}')")[0] for name in TABLES]
    return Reading(wal, commits, sum(size[0] for size in sizes), sum(size[1] for size in sizes))


def compact(database: str) -> Reading:
    """What the rows need, without the room that vacuum keeps for the next."""
    for name in TABLES:
        execute(database, f"VACUUM (FULL, ANALYZE) {name}")
    return read(database)


def drain(contestant: Contestant, count: int) -> None:
    sent = f"SELECT count(*) FROM {contestant.table} WHERE status = 4"
    with tempfile.TemporaryDirectory(prefix="email-relay-bench-") as name, SmtpServer(keep=False) as server:
        process = contestant.start(server.port, Path(name))
        try:
            wait_until(
                lambda: execute(contestant.database, sent)[0][0] == count, 600, "every message to be sent", interval=1
            )
        finally:
            stop(process)


def measure(count: int) -> dict[str, float]:
    """Of one message, on average."""
    contestant = contestants.runrelay()
    database = contestant.database
    contestant.set_up()
    execute(database, "CHECKPOINT")
    empty = read(database)
    contestant.send(count, "single")
    queued = read(database)
    [(size,)] = execute(database, f"SELECT avg(size) FROM {contestant.table}")
    drain(contestant, count)
    sent = read(database)
    with_bodies = compact(database)
    execute(database, f"UPDATE {contestant.table} SET mime = NULL")  # as BODY_RETENTION_SECONDS does
    without = compact(database)
    return {
        "message_bytes": float(size),
        "wal_queue": (queued.wal - empty.wal) / count,
        "wal_send": (sent.wal - queued.wal) / count,
        "commits_queue": (queued.commits - empty.commits) / count,
        "commits_send": (sent.commits - queued.commits) / count,
        "table": with_bodies.table / count,
        "indexes": with_bodies.indexes / count,
        "after_drain": (sent.table + sent.indexes) / count,
        "table_without_body": without.table / count,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    options = parser.parse_args()
    server = Wheel("-c max_wal_size=4GB")
    server.start()
    servers.POSTGRES.update(host="127.0.0.1", port=server.port, user="postgres")
    os.environ.update(PGHOST="127.0.0.1", PGPORT=str(server.port), PGUSER="postgres")
    figures = measure(options.messages)
    keep("sizing", {"messages": options.messages, "database": servers.durability(), "bytes": figures})
    for name, value in figures.items():
        print(f"{name:<20} {value:10.3f} for each message")


if __name__ == "__main__":
    main()
