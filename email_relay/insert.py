"""The INSERT of queued messages, in each database's own SQL: any number of rows, one statement, one round trip.

Instants are the database's (`created_at`, `due_at` …): the clocks of clients differ. Columns that are left out have a
default in the model and, but on SQLite, in the database.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, Optional, Sequence, Tuple

from django.db.backends.base.base import BaseDatabaseWrapper

from email_relay.envelope import Prepared
from email_relay.models import Message, Status
from email_relay.options import Instant

COLUMNS = (
    "data, priority, created_at, updated_at, mime, envelope_from, recipients, message_id, size, source, due_at, ready_at, "
    "expires_at, idempotency_key"
)
# The relay's columns: on PostgreSQL they have defaults, and a client's role needs no right to name them.
RELAY_COLUMNS = ", status, retry_count, lapse_count, log, queue_id"
RELAY_VALUES = f", {int(Status.QUEUED)}, 0, 0, '', ''"
PARAMETERS = 16  # at most, in one row
NOW = {
    "postgresql": "STATEMENT_TIMESTAMP()",
    "mysql": "UTC_TIMESTAMP(6)",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
}
LATER = {
    "postgresql": "STATEMENT_TIMESTAMP() + CAST(%s AS double precision) * INTERVAL '1 second'",
    "mysql": "UTC_TIMESTAMP(6) + INTERVAL %s SECOND",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', %s || ' seconds')",
}
LATEST = {
    "postgresql": "GREATEST(STATEMENT_TIMESTAMP(), CAST(%s AS timestamptz))",
    "mysql": "GREATEST(UTC_TIMESTAMP(6), CAST(%s AS DATETIME(6)))",
    "sqlite": "MAX(STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW'), %s)",
}
IGNORE_REPEATED_KEY = " ON CONFLICT DO NOTHING"


class Insert:
    """One statement for one chunk of messages of one source."""

    def __init__(self, connection: BaseDatabaseWrapper, source: str) -> None:
        self._connection = connection
        self._database: Any = connection.Database  # type: ignore[attr-defined]  # the driver's module
        self._vendor = connection.vendor
        self._source = source
        left_out = self._vendor == "postgresql"
        self._columns, self._rest = ("", "") if left_out else (RELAY_COLUMNS, RELAY_VALUES)

    def execute(self, messages: Sequence[Prepared], *, ignore_repeated_key: bool = False) -> int:
        """Write the rows; returns how many there are now more."""
        rows, parameters = self._values(messages)
        table = self._connection.ops.quote_name(Message._meta.db_table)
        sql = f"INSERT INTO {table} ({COLUMNS}{self._columns}) VALUES {rows}"
        with self._connection.cursor() as cursor:
            cursor.execute(sql + (IGNORE_REPEATED_KEY if ignore_repeated_key else ""), parameters)
            return int(cursor.rowcount)

    def _values(self, messages: Sequence[Prepared]) -> Tuple[str, List[Any]]:
        rows: List[str] = []
        parameters: List[Any] = []
        for message in messages:
            row, values = self._row(message)
            rows.append(row)
            parameters += values
        return ", ".join(rows), parameters

    def _row(self, message: Prepared) -> Tuple[str, List[Any]]:
        now = NOW[self._vendor]
        options = message.options
        due, due_values = self._due(options.send_at)
        expires, expires_values = self._expiry(options.expires_at)
        row = f"(%s, %s, {now}, {now}, %s, %s, %s, %s, %s, %s, {due}, {due}, {expires}, %s{self._rest})"
        values = [
            json.dumps(message.data),
            options.priority,
            self._database.Binary(message.content),
            message.sender,
            json.dumps(message.recipients),
            message.message_id,
            message.size,
            self._source,
            *due_values,
            *due_values,
            *expires_values,
            options.idempotency_key,
        ]
        return row, values

    def _due(self, send_at: Optional[Instant]) -> Tuple[str, List[Any]]:
        """``send_at``, but never before the row itself: age and lifetime count from there."""
        if send_at is None:
            return NOW[self._vendor], []
        if isinstance(send_at, timedelta):
            return LATER[self._vendor], [send_at.total_seconds()]
        return LATEST[self._vendor], [self._instant(send_at)]

    def _expiry(self, expires_at: Optional[Instant]) -> Tuple[str, List[Any]]:
        if expires_at is None:
            return "NULL", []
        if isinstance(expires_at, timedelta):
            return LATER[self._vendor], [expires_at.total_seconds()]
        return "%s", [self._instant(expires_at)]

    def _instant(self, value: datetime) -> Any:
        """PostgreSQL keeps the zone; the others hold UTC as Django writes it, whatever the project's USE_TZ."""
        if self._vendor == "postgresql":
            return value
        return value.astimezone(timezone.utc).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def first_message_ids(connection: BaseDatabaseWrapper, source: str, keys: Sequence[str]) -> Dict[str, str]:
    """The Message-IDs under which these idempotency keys of the source were queued first."""
    table = connection.ops.quote_name(Message._meta.db_table)
    marks = ", ".join(["%s"] * len(keys))
    sql = f"SELECT idempotency_key, message_id FROM {table} WHERE source = %s AND idempotency_key IN ({marks})"
    with connection.cursor() as cursor:
        cursor.execute(sql, [source, *keys])
        return dict(cursor.fetchall())
