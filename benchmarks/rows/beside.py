"""What a claim, a drain and an idle poll cost beside many rows that do not concern them; the plans go to results/plans.txt."""

from __future__ import annotations

import re
import time
from functools import partial
from typing import Any

from benchmarks import contestants
from benchmarks.arena import Arena, watched
from benchmarks.contestants import Contestant
from benchmarks.inprocess import in_child
from benchmarks.record import RESULTS, Record, Round
from benchmarks.servers import POSTGRES, execute

FILL = """
INSERT INTO email_relay_message (data, priority, status, retry_count, log, created_at, updated_at, sent_at, mime,
    envelope_from, recipients, message_id, queue_id, source, due_at, ready_at, worker, size, lapse_count)
SELECT '{{}}', 2, {status}, 0, '', now(), now(), {sent}, {mime}, 'from@example.com', '["to@example.com"]',
    '<' || i || '@example.org>', '', 'source' || i % 5, now() + interval '{due}', now(), {worker}, 4000, 0
FROM generate_series(1, {count}) i
"""
BODY = "convert_to(E'Subject: x\\r\\n\\r\\n' || repeat(repeat('x', 70) || E'\\r\\n', 56), 'UTF8')"
SENT = {"status": 4, "sent": "now()", "mime": "NULL", "due": "0", "worker": "'w'"}
DEFERRED = {"status": 2, "sent": "NULL", "mime": "NULL", "due": "1 day", "worker": "NULL"}
QUEUED = {"status": 1, "sent": "NULL", "mime": BODY, "due": "0", "worker": "NULL"}
DUE, CLAIMED, CLAIMS = 1_000, 100, 15
EMPTY = "an empty table"

HISTORY_OF_PEERS = {
    "relay-0.6.0": (
        "INSERT INTO email_relay_message (data, priority, status, retry_count, log, created_at, updated_at, sent_at) "
        "SELECT jsonb_build_object('subject', 'old ' || i, 'body', repeat(md5(i::text), 8)), 1, 4, 0, '', now(), now(), now() "
        "FROM generate_series(1, {count}) i",
        "SELECT 1 FROM email_relay_message WHERE status = 1 LIMIT 1",
    ),
    "post-office": (
        'INSERT INTO post_office_email (from_email, "to", cc, bcc, subject, message, html_message, status, priority, created, '
        "last_updated, backend_alias, headers, context, number_of_retries) SELECT 'a@example.com', 'u@example.com', '', '', "
        "'old ' || i, repeat(md5(i::text), 8), '', 0, 2, now(), now(), '', '{{}}', '\"\"', 0 FROM generate_series(1, {count}) i",
        "SELECT 1 FROM post_office_email WHERE (scheduled_time <= now() OR scheduled_time IS NULL) "
        "AND (expires_at > now() OR expires_at IS NULL) AND status IN (2, 3) LIMIT 1",
    ),
}
"""How each peer keeps what it has sent, and what it asks when idle."""


def tables(*, quick: bool) -> dict[str, tuple[dict[str, Any], int]]:
    many = 1_000_000 if quick else 5_000_000
    return {
        EMPTY: (SENT, 0),
        "500,000 sent": (SENT, 500_000),
        f"{many:,} sent": (SENT, many),
        "1,000,000 deferred into the future": (DEFERRED, 1_000_000),
    }


def run(place: Arena) -> Record:
    filled = tables(quick=place.quick)
    ours = {name: contestants.runrelay(f"beside {number}") for number, name in enumerate(filled)}
    place.enter(*ours.values())
    for name, (row, count) in filled.items():
        fill(ours[name].database, row, count)
        print(f"  filled: {name}", flush=True)
    figures = place.interleave({name: partial(_round, place, one) for name, one in ours.items()})
    plans = {name: plan(one.database) for name, one in ours.items()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "plans.txt").write_text("\n".join(f"-- beside {name}\n{text}\n" for name, text in plans.items()))
    return {
        "messages": DUE,
        "figures": figures,
        "buffers": {name: buffers(text) for name, text in plans.items()},
        "steps": {name: steps(text) for name, text in plans.items()},
        "peers_idle_ms": {name: _idle_peer(place, name) for name in HISTORY_OF_PEERS},
    }


def fill(database: str, row: dict[str, Any], count: int) -> None:
    """Without waiting for the disk, which the measurement does not need here."""
    if count:
        execute(database, "SET synchronous_commit = off; " + FILL.format(**row, count=count))
    execute(database, "VACUUM ANALYZE email_relay_message")


def _round(place: Arena, contestant: Contestant) -> Round:
    """An idle poll, a claim of some of a thousand, and a drain of them all."""
    database = contestant.database
    idle = in_child(_claims, database)
    fill(database, QUEUED, DUE)
    claim = in_child(_claims, database)
    drained = watched(place, contestant, DUE, place.sink.port, 60)
    # the next round finds the table as this one did
    execute(database, "DELETE FROM email_relay_message WHERE status = 4 AND mime IS NOT NULL")
    execute(database, "VACUUM ANALYZE email_relay_message")
    rate = drained["rate"]
    return {"idle_ms": idle, "claim_ms": claim, "drain_ms": 1000 * DUE / rate if rate else None}


def _claims(_database: str) -> float:
    """Milliseconds of a claim that is given back at once, the median of several."""
    spent = [_claim_and_give_back() for _ in range(CLAIMS + 1)]
    return sorted(spent[1:])[CLAIMS // 2]  # the first one connects


def _claim_and_give_back() -> float:
    from email_relay.relay import leases

    began = time.perf_counter()
    claim = leases.claim("default", worker="bench", server="none:25", seconds=60, rows=CLAIMED, size=10**7)
    spent = 1000 * (time.perf_counter() - began)
    leases.unclaim("default", claim.messages)
    return spent


def plan(database: str) -> str:
    """EXPLAIN (ANALYZE, BUFFERS) of the claim, rolled back."""
    fill(database, QUEUED, DUE)
    return str(in_child(_explain, database))


def _explain(_database: str) -> str:
    """Of the statement that a claim really sends."""
    from django.db import connection, transaction

    sent: list[tuple[str, Any]] = []

    def remember(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        sent.append((sql, parameters))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(remember):
        _claim_and_give_back()
    claim, parameters = next(pair for pair in sent if pair[0].startswith("EXECUTE"))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) " + claim, parameters)
        transaction.set_rollback(True)
        return "\n".join(row[0] for row in cursor.fetchall())


def buffers(text: str) -> int:
    found = re.search(r"Buffers: shared (.*)", text)
    return sum(int(number) for number in re.findall(r"(?:hit|read)=(\d+)", found.group(1) if found else ""))


def steps(text: str) -> list[str]:
    """The plan without its figures: how each relation is reached."""
    return re.findall(r"->\s+((?:\w+ )*(?:Scan|Update)[^(\n]*?) *(?=\(|$)", text, re.MULTILINE)


def _idle_peer(place: Arena, name: str) -> float:
    """Milliseconds of the peer's question beside 500,000 sent."""
    import psycopg2

    peer = {"relay-0.6.0": contestants.relay_0_6_0, "post-office": contestants.post_office}[name]()
    place.enter(peer)
    history, question = HISTORY_OF_PEERS[name]
    execute(peer.database, "SET synchronous_commit = off; " + history.format(count=500_000))
    execute(peer.database, f"VACUUM ANALYZE {peer.table}")
    connection = psycopg2.connect(dbname=peer.database, **POSTGRES)
    spent = []
    with connection.cursor() as cursor:
        for _ in range(CLAIMS + 1):
            began = time.perf_counter()
            cursor.execute(question)
            cursor.fetchall()
            spent.append(1000 * (time.perf_counter() - began))
    connection.close()
    return sorted(spent[1:])[CLAIMS // 2]
