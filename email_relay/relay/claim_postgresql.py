"""The claim on PostgreSQL: one statement, a loose index scan by source and priority, SKIP LOCKED."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Sequence

from django.db import DatabaseError, InterfaceError, connections

from email_relay.relay import bodies
from email_relay.relay.prepared import Statement
from email_relay.relay.turns import Turns
from email_relay.relay.vocabulary import FATAL_LAPSES, LAPSED_LOG, LEASED_COLUMNS, SUSPECT_LAPSES

LARGE = 64 * 1024
"""Bytes of a body from which on it is worth a round trip of its own."""
KEY = 6
MIME = KEY + LEASED_COLUMNS.index("mime")
DATA = KEY + len(LEASED_COLUMNS)

# A large body stays behind: its row has neither mime nor data. Its length is known without reading it.
RETURNED = ", ".join(
    f"CASE WHEN octet_length(m.mime) < {LARGE} THEN m.mime END AS mime" if column == "mime" else f"m.{column}"
    for column in LEASED_COLUMNS
)

# The sources are found by skipping through the claim index, the messages by one short index scan for each source and
# priority. The sub-selects are materialized: an UPDATE over a bare LIMIT may change more rows than it says.
CLAIM = Statement(
    "claim",
    f"""
WITH RECURSIVE lapsed AS (
    UPDATE email_relay_message SET
        status = CASE WHEN lapse_count + 1 >= {FATAL_LAPSES} THEN 3 ELSE 1 END,
        worker = CASE WHEN lapse_count + 1 >= {FATAL_LAPSES} THEN worker END,
        log = CASE WHEN lapse_count + 1 >= {FATAL_LAPSES} THEN %(lapsed_log)s ELSE log END,
        lapse_count = lapse_count + 1, lease_token = NULL, lease_until = NULL, updated_at = statement_timestamp()
    WHERE id IN (
        SELECT id FROM email_relay_message WHERE status = 5 AND lease_until <= statement_timestamp()
        ORDER BY lease_until LIMIT 1000 FOR UPDATE SKIP LOCKED
    )
    RETURNING 1
), server AS MATERIALIZED (
    SELECT opened_at, probe_at FROM email_relay_server WHERE name = %(server)s
), sources AS (
    (SELECT source FROM email_relay_message
     WHERE status IN (1, 2) AND NOT EXISTS (SELECT FROM server WHERE opened_at IS NOT NULL)
     ORDER BY source LIMIT 1)
    UNION ALL
    SELECT (SELECT m.source FROM email_relay_message m
            WHERE m.status IN (1, 2) AND m.source > sources.source ORDER BY m.source LIMIT 1)
    FROM sources WHERE sources.source IS NOT NULL
), candidate AS MATERIALIZED (
    SELECT sources.source, due.id, due.size, due.suspect,
           row_number() OVER (PARTITION BY sources.source ORDER BY level.priority DESC, due.due_at, due.id) AS turn
    FROM sources
    CROSS JOIN (VALUES (3), (2), (1)) AS level (priority)
    CROSS JOIN LATERAL (
        SELECT m.id, m.due_at, coalesce(m.size, pg_column_size(m.data)) AS size,
               m.lapse_count >= {SUSPECT_LAPSES} AS suspect
        FROM email_relay_message m
        WHERE m.status IN (1, 2) AND m.source = sources.source AND m.priority = level.priority
          AND m.due_at <= statement_timestamp() AND (NOT %(alone)s OR m.lapse_count >= {SUSPECT_LAPSES})
        ORDER BY m.due_at LIMIT %(rows)s FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE sources.source IS NOT NULL AND sources.source <> ALL(%(closed)s::text[])
), fit AS MATERIALIZED (
    SELECT id, suspect, row_number() OVER turns AS place, sum(size) OVER turns - size AS before
    FROM candidate
    WHERE (%(alone)s OR NOT suspect OR NOT EXISTS (SELECT FROM candidate WHERE NOT suspect))
      AND (turn = 1 OR (source = ANY(%(listed)s::text[])) <> %(listed_are_paced)s)
    WINDOW turns AS (ORDER BY turn, id ROWS UNBOUNDED PRECEDING)
), taken AS (
    UPDATE email_relay_message m SET
        status = 5, lease_token = %(token)s, worker = %(worker)s, updated_at = statement_timestamp(),
        lease_until = statement_timestamp() + make_interval(secs => %(seconds)s)
    FROM fit
    WHERE m.id = fit.id AND (fit.place = 1 OR (NOT fit.suspect AND fit.place <= %(rows)s AND fit.before < %(size)s))
    RETURNING fit.place, {RETURNED},
              CASE WHEN m.mime IS NULL THEN m.data END AS data
)
SELECT statement_timestamp(), server.opened_at IS NOT NULL, server.probe_at <= statement_timestamp(),
       EXISTS (SELECT FROM email_relay_suppression), EXISTS (SELECT FROM candidate WHERE suspect), EXISTS (SELECT FROM lapsed),
       {", ".join(f"taken.{column}" for column in LEASED_COLUMNS)}, taken.data
FROM (SELECT) AS always LEFT JOIN server ON true LEFT JOIN taken ON true
ORDER BY taken.place
""",
)

GIVE_BACK = """
UPDATE email_relay_message SET status = 1, worker = NULL, lease_token = NULL, lease_until = NULL
WHERE status = 5 AND lease_token = %s
"""

EXTEND = """
UPDATE email_relay_message SET lease_until = statement_timestamp() + make_interval(secs => %s)
WHERE status = 5 AND lease_token = ANY(%s)
RETURNING lease_token
"""


def execute(alias: str, *, turns: Turns, **parameters: Any) -> Sequence[Sequence[Any]]:
    rows = CLAIM.rows(alias, {**parameters, **_as_parameters(turns), "lapsed_log": LAPSED_LOG})
    return _with_large_bodies(alias, rows, parameters["token"])


def _with_large_bodies(alias: str, rows: Sequence[Sequence[Any]], token: str) -> Sequence[Sequence[Any]]:
    """A row that is gone by now keeps none: whoever took it away has taken the lease too."""
    left_behind = [row[KEY] for row in rows if row[KEY] is not None and row[MIME] is None and row[DATA] is None]
    if not left_behind:
        return rows
    try:
        found = bodies.fetch(alias, left_behind)
    except DatabaseError:
        _give_back(alias, token)
        raise
    return [(*row[:MIME], found.pop(row[KEY]), *row[MIME + 1 :]) if row[KEY] in found else row for row in rows]


def _give_back(alias: str, token: str) -> None:
    """Nobody was at fault: no lapse is charged, unless the link is gone and the lease has to end by itself."""
    with suppress(DatabaseError, InterfaceError), connections[alias].cursor() as cursor:
        cursor.execute(GIVE_BACK, [token])


def _as_parameters(turns: Turns) -> dict[str, Any]:
    return {
        "closed": list(turns.closed),
        "listed": list(turns.listed),
        "listed_are_paced": turns.listed_are_paced,
    }


def extend(alias: str, tokens: list[str], seconds: float) -> set[str]:
    """Which of the tokens still hold something."""
    with connections[alias].cursor() as cursor:
        cursor.execute(EXTEND, [seconds, tokens])
        return {row[0] for row in cursor.fetchall()}
