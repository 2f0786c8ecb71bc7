"""How PostgreSQL would answer what was asked, where reading a whole table is its last resort."""

from __future__ import annotations

import re

from django.db import connection
from django.test.utils import CaptureQueriesContext

PARTIAL = ("email_relay_claim", "email_relay_lapse", "email_relay_sent", "email_relay_ended", "email_relay_queue_id")
"""Indexes of what waits, ended otherwise, or (by the instant) was sent."""


def asked_of_messages(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries if 'FROM "email_relay_message"' in query["sql"]]


def plan(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        try:
            cursor.execute(f"EXPLAIN {sql}")
            return "\n".join(row[0] for row in cursor.fetchall())
        finally:
            cursor.execute("RESET enable_seqscan")


def whole_scans(found: str) -> list[str]:
    """Nodes that read the table, or an index that has all of it, from end to end."""
    lines = [line.strip() for line in found.splitlines()]
    scans = [number for number, line in enumerate(lines) if re.search("Scan.* on email_relay_", line)]
    return [lines[number] for number in scans if is_whole(lines[number], lines[number + 1 : number + 3])]


def is_whole(node: str, details: list[str]) -> bool:
    if "Bitmap Heap Scan" in node or any(f" {index} " in node for index in PARTIAL):
        return False
    return "(never executed)" not in node and not any("Index Cond" in line for line in details)
