"""The payload of django-email-relay 0.x, turned into the bytes its client meant to send.

Pure, and the same bytes every time (P4): what a renderer makes up (Message-ID, Date, boundaries) is derived from the row.
0.x kept text attachments raw and byte attachments in base64, with nothing to tell them apart; the content and the media
type decide here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import datetime
from email.message import Message as StandardMessage
from email.utils import format_datetime
from typing import Any, Dict, List, Mapping

from django.core.mail import EmailMultiAlternatives

from email_relay.compat import flatten
from email_relay.compat import render as rendered
from email_relay.exceptions import UnreadablePayload

TEXTUAL = ("json", "xml", "javascript", "csv", "yaml", "x-yaml", "sql", "x-sh", "rtf", "x-www-form-urlencoded")
DEFAULT_TYPE = "application/octet-stream"


def to_email(data: Any) -> EmailMultiAlternatives:
    """The payload as Django's class. Raises `UnreadablePayload`."""
    if not isinstance(data, Mapping):
        raise UnreadablePayload(f"data is no payload but a {type(data).__name__}.")
    email = EmailMultiAlternatives(
        subject=_text(data, "subject"),
        body=_text(data, "body"),
        from_email=_text(data, "from_email") or None,
        to=_texts(data, "to"),
        cc=_texts(data, "cc"),
        bcc=_texts(data, "bcc"),
        reply_to=_texts(data, "reply_to"),
        headers=_headers(data),
    )
    for content, mimetype in _pairs(data):
        email.attach_alternative(content, mimetype)
    for attachment in _list(data, "attachments"):
        _attach(email, attachment)
    return email


def render(data: Any, *, key: str, created_at: datetime, domain: str) -> bytes:
    """The message as bytes: CRLF, no Bcc. ``key`` names the row; the Message-ID is ``<key@domain>`` unless there is one.

    Raises `UnreadablePayload`.
    """
    email = to_email(data)
    given = {name.lower() for name in email.extra_headers}
    email.extra_headers = {name: value for name, value in email.extra_headers.items() if name.lower() != "bcc"}
    if "message-id" not in given:
        email.extra_headers["Message-ID"] = f"<{key}@{domain}>"
    if "date" not in given:
        email.extra_headers["Date"] = format_datetime(created_at)
    try:
        message = rendered(email)
        _fix_boundaries(message, key)
        content = flatten(message)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UnreadablePayload(f"The payload cannot be rendered: {type(error).__name__}.") from error
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def _fix_boundaries(message: StandardMessage, key: str) -> None:
    for number, part in enumerate(part for part in message.walk() if part.get_content_maintype() == "multipart"):
        digest = hashlib.sha256(f"{key} {number}".encode()).hexdigest()
        part.set_boundary(f"==============={digest[:32]}==")


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name, "")
    if value is None or isinstance(value, (str, int, float)):
        return "" if value is None else str(value)
    raise UnreadablePayload(f"{name} is no text but a {type(value).__name__}.")


def _list(data: Mapping[str, Any], name: str) -> List[Any]:
    value = data.get(name) or []
    if isinstance(value, list):
        return value
    raise UnreadablePayload(f"{name} is no list but a {type(value).__name__}.")


def _texts(data: Mapping[str, Any], name: str) -> List[str]:
    values = _list(data, name)
    if all(isinstance(value, str) for value in values):
        return values
    raise UnreadablePayload(f"{name} holds something that is no text.")


def _headers(data: Mapping[str, Any]) -> Dict[str, str]:
    value = data.get("extra_headers") or {}
    if isinstance(value, dict):
        return {str(name): str(content) for name, content in value.items()}
    raise UnreadablePayload(f"extra_headers is no dictionary but a {type(value).__name__}.")


def _pairs(data: Mapping[str, Any]) -> List[List[str]]:
    pairs = _list(data, "alternatives")
    pair = 2
    if all(
        isinstance(item, list) and len(item) == pair and all(isinstance(part, str) for part in item) for item in pairs
    ):
        return pairs
    raise UnreadablePayload("alternatives holds something that is no pair of content and type.")


def _attach(email: EmailMultiAlternatives, attachment: Any) -> None:
    if not isinstance(attachment, dict):
        raise UnreadablePayload(f"attachments holds a {type(attachment).__name__}.")
    filename = _text(attachment, "filename") or None
    mimetype = _text(attachment, "mimetype") or DEFAULT_TYPE
    if mimetype.count("/") != 1:
        raise UnreadablePayload("An attachment has no valid media type.")
    email.attach(filename, attachment_content(_text(attachment, "content"), mimetype), mimetype)


def attachment_content(kept: str, mimetype: str) -> Any:
    """What was attached, from what 0.x kept of it: text, or bytes out of base64.

    Strict base64 of a binary type is base64. A textual type was mostly kept raw, but for the parts of MIMEBase: it counts
    as base64 only if it decodes to printable text with a space or line break in it, which no short word does by chance.
    """
    decoded = _strictly_decoded(kept)
    if not _is_textual(mimetype):
        return kept.encode("utf-8", "replace") if decoded is None else decoded
    text = _printable(decoded)
    if text is not None and any(character.isspace() for character in text):
        return text
    return kept


def _is_textual(mimetype: str) -> bool:
    kind, _, subtype = mimetype.lower().partition("/")
    return kind in ("text", "message") or subtype in TEXTUAL or subtype.endswith(("+json", "+xml"))


def _strictly_decoded(kept: str) -> bytes | None:
    try:
        decoded = base64.b64decode(kept.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeError):
        return None
    return decoded if base64.b64encode(decoded).decode("ascii") == kept else None


def _printable(content: bytes | None) -> str | None:
    try:
        text = (content or b"").decode()
    except UnicodeDecodeError:
        return None
    return text if all(character.isprintable() or character.isspace() for character in text) else None
