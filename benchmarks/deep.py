"""``python -m benchmarks.deep``: what a claim costs beside many rows that do not concern it; plans go to results/deep.txt."""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from typing import Any

from benchmarks.__main__ import RESULTS
from benchmarks.contestants import CONTESTANTS
from benchmarks.latency import configure
from benchmarks.servers import execute

ROW = (
    "INSERT INTO email_relay_message (data, priority, status, retry_count, log, created_at, updated_at, sent_at, mime, "
)
COLUMNS = "recipients, message_id, queue_id, source, due_at, ready_at, worker, size) SELECT "
VALUES = (
    "'{{}}', 2, {status}, 0, '', now(), now(), {sent}, {mime}, '[\"to@example.com\"]', md5(i::text), '', 'source' || i % 5, "
    "{due}, now(), {worker}, 4000 FROM generate_series(1, {count}) i"
)
SETTINGS = {
    "empty table": [],
    "500,000 sent": [{"status": 4, "sent": "now()", "mime": "NULL", "due": "now()", "worker": "'w'", "count": 500_000}],
    "1,000,000 deferred into the future": [
        {
            "status": 2,
            "sent": "NULL",
            "mime": "NULL",
            "due": "now() + interval '1 day'",
            "worker": "NULL",
            "count": 1_000_000,
        }
    ],
}
DUE = {"status": 1, "sent": "NULL", "mime": "repeat('x', 400)::bytea", "due": "now()", "worker": "NULL", "count": 1_000}


def claim_once(alias: str) -> tuple[float, int]:
    """Milliseconds and rows of one claim, given back at once."""
    from email_relay.relay import leases

    began = time.perf_counter()
    claim = leases.claim(alias, worker="bench", server="none:25", seconds=60, rows=100, size=10**7)
    spent = 1000 * (time.perf_counter() - began)
    leases.unclaim(alias, claim.messages)
    return spent, len(claim.messages)


def plan(database: str) -> tuple[str, int]:
    """EXPLAIN (ANALYZE, BUFFERS) of the claim, rolled back, and the buffers it touched."""
    import psycopg2

    from benchmarks.servers import POSTGRES
    from email_relay.relay.claim_postgresql import CLAIM
    from email_relay.relay.vocabulary import LAPSED_LOG

    parameters: dict[str, Any] = {
        "token": "t" * 32, "worker": "bench", "server": "none:25", "seconds": 60, "rows": 100, "size": 10**7,
        "alone": False, "lapsed_log": LAPSED_LOG,
    }  # fmt: skip
    connection = psycopg2.connect(dbname=database, **POSTGRES)
    with connection.cursor() as cursor:
        cursor.execute("SET jit = off")  # as the relay does
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) " + CLAIM, parameters)
        text = "\n".join(row[0] for row in cursor.fetchall())
    connection.rollback()
    connection.close()
    found = re.search(r"Buffers: shared (.*)", text)
    return text, sum(int(number) for number in re.findall(r"(?:hit|read)=(\d+)", found.group(1) if found else ""))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deep", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    contestant = CONTESTANTS["runrelay"]
    contestant.set_up()
    configure(contestant.database)
    lines = ["| beside 1,000 due messages | claim of 100, ms | buffers | idle poll, ms |", "|---|---|---|---|"]
    plans, figures = [], {}
    for name, rows in SETTINGS.items():
        contestant.empty()
        for row in rows:
            execute(contestant.database, ROW + COLUMNS + VALUES.format(**row))
        execute(contestant.database, "VACUUM ANALYZE email_relay_message")
        idle = [claim_once("default")[0] for _ in range(options.rounds)]
        execute(contestant.database, ROW + COLUMNS + VALUES.format(**DUE))
        execute(contestant.database, "VACUUM ANALYZE email_relay_message")
        claims = [claim_once("default") for _ in range(options.rounds)]
        text, buffers = plan(contestant.database)
        plans.append(f"-- {name}\n{text}\n")
        figures[name] = {"claim_ms": [spent for spent, _ in claims], "idle_ms": idle, "buffers": buffers}
        claim = statistics.median(spent for spent, _ in claims)
        lines.append(f"| {name} | {claim:.2f} | {buffers} | {statistics.median(idle):.2f} |")
        print(lines[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "deep.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "deep.json").write_text(json.dumps(figures, indent=1) + "\n")
    (RESULTS / "deep.txt").write_text("\n".join(plans))


if __name__ == "__main__":
    main()
