"""Finding the mail of one recipient, or of one domain, on each kind of database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.db import connections
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from email_relay.console.timeline import newest_id

if TYPE_CHECKING:
    from email_relay.models import MessageQuerySet

LEGACY_ROWS_SEARCHED = 50_000
"""Rows of 0.x clients have no ``recipients`` until a relay reads them; only the newest rows are searched for those."""

HEADERS = ("to", "cc", "bcc")


def spellings(address: str) -> list[str]:
    """The ways one address may have been stored: as typed, with a lower-case domain, all lower-case."""
    local, _, domain = address.strip().strip("<>").rpartition("@")
    return sorted({f"{local}@{domain}", f"{local}@{domain.lower()}", f"{local}@{domain}".lower()})


def addressed_to(messages: MessageQuerySet, address: str) -> tuple[MessageQuerySet, Q]:
    """The queryset to filter and the condition to filter it by; on PostgreSQL the condition uses the GIN index."""
    if connections[messages.db].vendor == "postgresql":
        return messages, _by_index(messages, address)
    condition = Q()
    for spelling in spellings(address):
        condition |= Q(recipients_text__icontains=json.dumps(spelling))
        condition |= Q(recipients__isnull=True, data_text__icontains=json.dumps(spelling))
    return _as_text(messages), condition


def _by_index(messages: MessageQuerySet, address: str) -> Q:
    condition, legacy = Q(), Q()
    for spelling in spellings(address):
        condition |= Q(recipients__contains=[spelling])
        for header in HEADERS:
            legacy |= Q(data__contains={header: [spelling]})
    oldest = newest_id(messages.db) - LEGACY_ROWS_SEARCHED
    return condition | (Q(recipients__isnull=True, pk__gt=oldest) & legacy)


def in_domain(messages: MessageQuerySet, domain: str) -> MessageQuerySet:
    """Mail with a recipient at ``domain``. Reads each row it is given: narrow them by status or time first."""
    ending = json.dumps(f"@{domain.strip().lstrip('@').lower()}")[1:]
    return _as_text(messages).filter(
        Q(recipients_text__icontains=ending) | Q(recipients__isnull=True, data_text__icontains=ending)
    )


def _as_text(messages: MessageQuerySet) -> MessageQuerySet:
    return messages.alias(recipients_text=Cast("recipients", TextField()), data_text=Cast("data", TextField()))
