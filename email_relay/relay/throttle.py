"""The relay-wide pace: slots handed out by the server's row, one message each, whichever relay asks.

Who finds nothing to send in his slot gives it back, or a newcomer would wait for every idle relay that looked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from email_relay.conf import RelaySettings
from email_relay.db import database_now
from email_relay.models import Server


def interval(settings: RelaySettings) -> float:
    """Seconds between two messages: the slower of ``EMAIL_THROTTLE`` and ``MESSAGES_PER_MINUTE``; 0 is no limit."""
    per_minute = settings.MESSAGES_PER_MINUTE
    return max(float(settings.EMAIL_THROTTLE), 60 / per_minute if per_minute else 0.0)


@dataclass(frozen=True)
class Slot:
    """The right to send one message from ``at`` on; ``wait`` seconds from its reservation."""

    at: datetime
    next_at: datetime
    wait: float


def reserve(alias: str, server: str, seconds: float) -> Slot:
    """Take the next free slot."""
    with transaction.atomic(using=alias):
        Server.objects.using(alias).get_or_create(name=server)
        row = Server.objects.using(alias).select_for_update().get(name=server)
        now = database_now(alias)
        at = max(now, row.next_slot_at or now)
        row.next_slot_at = at + timedelta(seconds=seconds)
        row.save(using=alias, update_fields=["next_slot_at"])
    return Slot(at, row.next_slot_at, (at - now).total_seconds())


def give_back(alias: str, server: str, slot: Slot) -> None:
    """Nothing went out in it; if nobody has reserved behind it, the next who asks gets it."""
    Server.objects.using(alias).filter(name=server, next_slot_at=slot.next_at).update(next_slot_at=slot.at)
