"""The relay-wide pace: slots handed out by the server's row, one message each, whichever relay asks."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from email_relay.conf import RelaySettings
from email_relay.db import database_now
from email_relay.models import Server


def interval(settings: RelaySettings) -> float:
    """Seconds between two messages: the slower of ``EMAIL_THROTTLE`` and ``MESSAGES_PER_MINUTE``; 0 is no limit."""
    per_minute = settings.MESSAGES_PER_MINUTE
    return max(float(settings.EMAIL_THROTTLE), 60 / per_minute if per_minute else 0.0)


def reserve(alias: str, server: str, seconds: float) -> float:
    """Take the next free slot; returns the seconds to wait for it."""
    with transaction.atomic(using=alias):
        Server.objects.using(alias).get_or_create(name=server)
        row = Server.objects.using(alias).select_for_update().get(name=server)
        now = database_now(alias)
        slot = max(now, row.next_slot_at or now)
        row.next_slot_at = slot + timedelta(seconds=seconds)
        row.save(using=alias, update_fields=["next_slot_at"])
    return (slot - now).total_seconds()
