"""Messages sent and failed per minute over the last hours, read newest first within a budget of rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import connections

from email_relay.console.timeline import newest_id
from email_relay.models import Status

if TYPE_CHECKING:
    from email_relay.models import MessageQuerySet

MINUTES = 180
BUDGET = 60_000
"""Most rows one view reads of each kind; a busier relay is shown over fewer minutes."""

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Minute:
    """What ended in the minute that begins at ``at``."""

    at: datetime
    sent: int
    failed: int


def traffic(messages: MessageQuerySet, now: datetime) -> tuple[list[Minute], bool]:
    """The last minutes, oldest first, the current one included; and whether the budget cut some off."""
    last = now.replace(second=0, microsecond=0)
    first = last - (MINUTES - 1) * MINUTE
    sent, sent_from = _per_minute(messages.filter(status=Status.SENT), "sent_at", first)
    failed, failed_from = _per_minute(messages.filter(status=Status.FAILED), "updated_at", first)
    begin = max(first, sent_from, failed_from)
    count = int((last - begin) / MINUTE) + 1
    instants = [begin + offset * MINUTE for offset in range(count)]
    return [Minute(at, sent[at], failed[at]) for at in instants], begin > first


def _per_minute(messages: MessageQuerySet, column: str, first: datetime) -> tuple[Counter[datetime], datetime]:
    """Counts by minute since ``first``, and the first minute that is wholly counted."""
    rows = _recent(messages, column, first).values_list(column, flat=True)[:BUDGET]
    counts: Counter[datetime] = Counter()
    read = 0
    for instant in rows.iterator(chunk_size=10_000):
        counts[instant.replace(second=0, microsecond=0)] += 1
        read += 1
    if read < BUDGET:
        return counts, first
    oldest = min(counts)
    del counts[oldest]
    return counts, oldest + MINUTE


def _recent(messages: MessageQuerySet, column: str, first: datetime) -> MessageQuerySet:
    if not connections[messages.db].features.supports_partial_indexes:
        # nothing there is indexed by instant: the newest rows stand for the latest
        messages = messages.filter(pk__gt=newest_id(messages.db) - BUDGET)
    return messages.filter(**{f"{column}__gte": first}).order_by(f"-{column}")
