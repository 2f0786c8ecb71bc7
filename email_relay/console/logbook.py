"""Who did what to which message, in the admin's own log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType

from email_relay.models import Message

if TYPE_CHECKING:
    from email_relay.console.bulk import Outcome
    from email_relay.console.verbs import Verb

ONE_BY_ONE = 200
"""Up to so many messages each gets an entry of its own; above, one entry tells the filter and the counts."""

REPR_LENGTH = 200


def record(user_id: Any, verb: Verb, ids: Sequence[int], outcome: Outcome, *, alias: str, filters: str = "") -> None:
    content_type = ContentType.objects.get_for_model(Message)
    summary = f"{verb.label}: {outcome.changed} of {outcome.matched} {verb.past}"
    if len(ids) <= ONE_BY_ONE:
        rows = Message.objects.using(alias).filter(pk__in=ids).only("message_id", "data")
        entries = [_entry(user_id, content_type.pk, summary, str(row.pk), str(row)) for row in rows]
    else:
        entries = [_entry(user_id, content_type.pk, f"{summary} ({filters})", None, f"{len(ids)} messages")]
    LogEntry.objects.bulk_create(entries)


def _entry(user_id: Any, content_type_id: int, summary: str, object_id: str | None, shown: str) -> LogEntry:
    return LogEntry(
        user_id=user_id,
        content_type_id=content_type_id,
        object_id=object_id,
        object_repr=shown[:REPR_LENGTH],
        action_flag=CHANGE,
        change_message=summary,
    )
