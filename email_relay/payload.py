"""What a row of the queue holds, whoever wrote it: bytes of this version, or the payload of 0.x.

Takes a `Message` or anything with the same ``id``, ``data``, ``mime``, ``recipients``, ``created_at``. Raises
`UnreadablePayload` for a row that says nothing: that row fails alone (P5).
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, List, NamedTuple, Tuple

from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from email_relay import legacy, mime
from email_relay.addresses import domain_of, to_envelope, unique
from email_relay.exceptions import InvalidAddress, UnreadablePayload

LOCAL_DOMAIN = "localhost.localdomain"


class Content(NamedTuple):
    """Envelope and bytes of one row."""

    sender: str
    recipients: Tuple[str, ...]
    content: bytes


def content_of(row: Any) -> Content:
    """Envelope and bytes. Raises `UnreadablePayload`."""
    if row.mime is not None:
        return _stored(row)
    if isinstance(row.data, dict) and "format" in row.data:
        raise UnreadablePayload("The body is not kept any longer.")
    return _legacy(row)


def to_email(row: Any) -> EmailMultiAlternatives:
    """The row as Django's class. Raises `UnreadablePayload`."""
    sender, recipients, content = content_of(row)
    return mime.to_email(content, sender, recipients)


def _stored(row: Any) -> Content:
    sender = getattr(row, "envelope_from", None) or getattr(row, "sender", None) or ""
    recipients = row.recipients
    if not isinstance(recipients, (list, tuple)) or not all(isinstance(address, str) for address in recipients):
        raise UnreadablePayload("recipients is no list of addresses.")
    return Content(sender, tuple(recipients), bytes(row.mime))


def _legacy(row: Any) -> Content:
    email = legacy.to_email(row.data)
    try:
        sender = to_envelope(email.from_email or settings.DEFAULT_FROM_EMAIL, "utf-8")
        recipients: List[str] = unique(to_envelope(address, "utf-8") for address in email.recipients())
    except InvalidAddress as error:
        raise UnreadablePayload(str(error)) from error
    if not recipients:
        raise UnreadablePayload("The payload names no recipients.")
    created_at = _aware(row.created_at)
    key = f"email-relay.{row.id}.{int(created_at.timestamp())}"
    domain = domain_of(sender) or LOCAL_DOMAIN
    return Content(sender, tuple(recipients), legacy.render(row.data, key=key, created_at=created_at, domain=domain))


def _aware(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
