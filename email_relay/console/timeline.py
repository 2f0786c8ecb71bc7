"""From an instant to a row's number, so that a time range over millions of rows needs no index on ``created_at``."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Max, Min

from email_relay.models import Message

CLOCK_SKEW = timedelta(hours=1)
"""0.x clients stamp rows by their own clock, and transactions commit out of order."""

NEAR_ENOUGH = 256


def newest_id(alias: str) -> int:
    return Message.objects.using(alias).aggregate(last=Max("pk"))["last"] or 0


def first_id_since(alias: str, instant: datetime) -> int:
    """An id no row created at or after ``instant`` is below: a bisection by primary key, some twenty look-ups."""
    messages = Message.objects.using(alias).order_by()
    ends = messages.aggregate(low=Min("pk"), high=Max("pk"))
    low, high = ends["low"] or 0, (ends["high"] or 0) + 1
    wanted = instant - CLOCK_SKEW
    while high - low > NEAR_ENOUGH:
        middle = (low + high) // 2
        row = messages.filter(pk__gte=middle).order_by("pk").values_list("pk", "created_at").first()
        if row is None or row[1] >= wanted:
            high = middle
        else:
            low = row[0] + 1
    return low


def last_id_before(alias: str, instant: datetime) -> int:
    """An id no row created before ``instant`` is above."""
    return first_id_since(alias, instant + 2 * CLOCK_SKEW) + NEAR_ENOUGH
