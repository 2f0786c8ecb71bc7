"""The search box: a recipient, a Message-ID, the server's queue id, a row's number, or words of a subject.

All but the subject are looked up by an index over everything; a subject is read row by row, so within a time range.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import Q

from email_relay.console.recipients import addressed_to
from email_relay.console.timeline import first_id_since, last_id_before
from email_relay.db import database_now

if TYPE_CHECKING:
    from email_relay.models import MessageQuerySet

SUBJECT_RANGE = timedelta(days=1)
"""How far back a subject is looked for when no time range is given."""

BIGGEST_ID = 2**63 - 1


def search(messages: MessageQuerySet, text: str, *, since: datetime | None = None) -> MessageQuerySet:
    """The messages meant by ``text``; ``since`` widens or narrows the range of a subject search."""
    text = text.replace("\x00", "").strip()
    if text.lower().startswith("subject:"):
        return with_subject(messages, text[len("subject:") :], since=since)
    if "@" in text and not any(char.isspace() for char in text):
        rows, condition = addressed_to(messages, text)
        return rows.filter(condition | _message_id(text))
    if any(char.isspace() for char in text):
        return with_subject(messages, text, since=since)
    return _by_token(messages, text, since=since)


def _by_token(messages: MessageQuerySet, token: str, *, since: datetime | None) -> MessageQuerySet:
    known = Q(queue_id=token) | _message_id(token)
    if token.isascii() and token.isdigit() and int(token) <= BIGGEST_ID:
        known |= Q(pk=int(token))
    found = messages.filter(known)
    return found if found.exists() else with_subject(messages, token, since=since)


def _message_id(text: str) -> Q:
    bare = text.strip("<>")
    return Q(message_id__in=[bare, f"<{bare}>"])


def with_subject(messages: MessageQuerySet, words: str, *, since: datetime | None = None) -> MessageQuerySet:
    """Messages whose subject contains ``words``, in any case, created since ``since`` (default: one day)."""
    return created_since(messages, since or default_since(messages)).filter(data__subject__icontains=words.strip())


def default_since(messages: MessageQuerySet) -> datetime:
    return database_now(messages.db) - SUBJECT_RANGE


def created_since(messages: MessageQuerySet, since: datetime) -> MessageQuerySet:
    return messages.filter(pk__gte=first_id_since(messages.db, since), created_at__gte=since)


def created_before(messages: MessageQuerySet, until: datetime) -> MessageQuerySet:
    return messages.filter(pk__lte=last_id_before(messages.db, until), created_at__lt=until)
