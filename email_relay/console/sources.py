"""The sources an operator can choose from: those with mail waiting, and those of the newest rows."""

from __future__ import annotations

from email_relay.console.timeline import newest_id
from email_relay.models import CLAIMABLE, Message

NEWEST_ROWS = 2_000
MOST = 200


def sources(alias: str) -> list[str]:
    messages = Message.objects.using(alias).order_by()
    waiting = messages.filter(status__in=CLAIMABLE).values_list("source", flat=True).distinct()[:MOST]
    newest = messages.filter(pk__gt=newest_id(alias) - NEWEST_ROWS).values_list("source", flat=True).distinct()[:MOST]
    return sorted({source for source in [*waiting, *newest] if source})
