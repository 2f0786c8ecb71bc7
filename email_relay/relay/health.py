"""Can the relay do its job? Asked before each heartbeat, by probes and by the dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Dict, Optional

from django.db import DatabaseError, InterfaceError
from django.db.models import Min

from email_relay.db import database_now
from email_relay.models import CLAIMABLE, Message, Priority, Server, Status

LATELY_SECONDS = 300


@dataclass(frozen=True)
class Health:
    """``trouble`` is "" when the relay can do its job; otherwise one sentence."""

    trouble: str = ""
    oldest_due: Optional[timedelta] = None

    @property
    def well(self) -> bool:
        return not self.trouble


def assess(alias: str, *, max_age: float) -> Health:
    """Database reachable, no circuit open, oldest due message younger than ``max_age`` seconds."""
    try:
        oldest = oldest_due_age(alias)
        opened = Server.objects.using(alias).filter(opened_at__isnull=False).first()
    except (DatabaseError, InterfaceError) as error:
        return Health(f"The relay database cannot be reached ({type(error).__name__}).")
    if opened is not None:
        return Health(f"The SMTP server {opened.name} is unavailable: {opened.last_error}", oldest)
    if oldest is not None and oldest > timedelta(seconds=max_age):
        return Health(f"The oldest due message has waited for {oldest}.", oldest)
    return Health("", oldest)


def oldest_due_age(alias: str) -> Optional[timedelta]:
    """Age of the oldest message that is due, or None; one short index scan for each source and priority."""
    now = database_now(alias)
    ages = [now - oldest for oldest in _oldest_by_turn(alias) if oldest <= now]
    return max(ages, default=None)


def _oldest_by_turn(alias: str) -> list:  # type: ignore[type-arg]
    waiting = Message.objects.using(alias).filter(status__in=CLAIMABLE)
    found = []
    source = waiting.aggregate(first=Min("source"))["first"]
    while source is not None:
        for priority in Priority.values:
            oldest = waiting.filter(source=source, priority=priority).aggregate(first=Min("due_at"))["first"]
            if oldest is not None:
                found.append(oldest)
        source = waiting.filter(source__gt=source).aggregate(first=Min("source"))["first"]
    return found


def waiting_by_status(alias: str) -> Dict[str, int]:
    """Depth of what is not settled; each state has an index of its own, so the sent are never read."""
    messages = Message.objects.using(alias)
    open_states = [*CLAIMABLE, Status.SENDING, Status.HELD]
    return {Status(status).name.lower(): messages.filter(status=status).count() for status in open_states}


def settled_lately(alias: str) -> Dict[str, int]:
    """What was settled within the last `LATELY_SECONDS`."""
    since = database_now(alias) - timedelta(seconds=LATELY_SECONDS)
    messages = Message.objects.using(alias)
    return {
        "sent": messages.filter(status=Status.SENT, sent_at__gte=since).count(),
        "failed": messages.filter(status=Status.FAILED, updated_at__gte=since).count(),
    }


def summary(alias: str, health: Health) -> str:
    """How things stand, in one line of counts."""
    counts = {
        **waiting_by_status(alias),
        "oldest_due_seconds": int(health.oldest_due.total_seconds()) if health.oldest_due else 0,
        **{f"{outcome}_in_{LATELY_SECONDS}s": count for outcome, count in settled_lately(alias).items()},
    }
    return " ".join(f"{name}={count}" for name, count in counts.items())
