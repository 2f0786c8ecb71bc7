"""Retention: what has ended is deleted by its age, in bounded batches; bodies may go before the rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Dict, Optional

from django.db import transaction
from django.db.models import QuerySet

from email_relay.conf import RelaySettings, relay_settings
from email_relay.db import DatabaseNow, database_now, relay_alias
from email_relay.models import Attempt, Message, Status
from email_relay.relay.workers import forget_old

BATCH = 2000
MOST_BATCHES = 500
"""One purge ends after so many batches; the next goes on."""


@dataclass
class PurgeReport:
    """How many rows went, and how many lost their body."""

    sent: int = 0
    failed: int = 0
    bodies: int = 0

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def purge(alias: Optional[str] = None, settings: Optional[RelaySettings] = None) -> PurgeReport:
    """Delete what is older than its retention. Nothing that waits or is being sent is ever touched."""
    settings, alias = settings or relay_settings(), alias or relay_alias()
    forget_old(alias)
    return PurgeReport(
        sent=_purge_sent(alias, settings.MESSAGES_RETENTION_SECONDS),
        failed=_purge_ended(alias, settings.FAILED_RETENTION_SECONDS),
        bodies=_drop_bodies(alias, settings.BODY_RETENTION_SECONDS),
    )


def _purge_sent(alias: str, seconds: int | None) -> int:
    if seconds is None:
        return 0
    before = database_now(alias) - timedelta(seconds=seconds)
    return _delete(alias, Message.objects.using(alias).filter(status=Status.SENT, sent_at__lte=before))


def _purge_ended(alias: str, seconds: int | None) -> int:
    if seconds is None:
        return 0
    before = database_now(alias) - timedelta(seconds=seconds)
    ended = Message.objects.using(alias).filter(status__in=[Status.FAILED, Status.CANCELED], updated_at__lte=before)
    return _delete(alias, ended)


def _delete(alias: str, old: QuerySet[Message]) -> int:
    deleted = 0
    for _ in range(MOST_BATCHES):
        with transaction.atomic(using=alias):
            ids = list(old.order_by().values_list("id", flat=True)[:BATCH])
            if not ids:
                break
            Attempt.objects.using(alias).filter(message_id__in=ids).delete()
            deleted += old.filter(id__in=ids)._raw_delete(alias)
        if len(ids) < BATCH:
            break
    return deleted


def _drop_bodies(alias: str, seconds: int | None) -> int:
    if seconds is None:
        return 0
    before = database_now(alias) - timedelta(seconds=seconds)
    old = Message.objects.using(alias).filter(status=Status.SENT, sent_at__lte=before, mime__isnull=False)
    dropped = 0
    for _ in range(MOST_BATCHES):
        ids = list(old.order_by().values_list("id", flat=True)[:BATCH])
        dropped += old.filter(id__in=ids).update(mime=None, updated_at=DatabaseNow())
        if len(ids) < BATCH:
            break
    return dropped
