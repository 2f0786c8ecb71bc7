"""Pure reading of what servers say: bytes of a reply → `Reply`, and the server's own id out of a final 250.

RFC 5321 section 4.2 (lines, multi-line replies), RFC 2034 and RFC 3463 (enhanced status codes). Servers are strangers:
any bytes are accepted, only printable text comes out.
"""

from __future__ import annotations

import re

from email_relay.relay.transport.base import NO_REPLY, Reply

MAX_TEXT = 500
MAX_QUEUE_ID = 128
TOO_MANY = 452

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")
_QUEUE_IDS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\bqueued as:? ?([^\s,;]+)",  # Postfix, Haraka's forwarders
        r"\[InternalId=(\d+)",  # Exchange
        r"\bid=([^\s,;]+)",  # Exim
        r"^ok (\d+ qp \d+)",  # qmail
        r"^([^\s<>]+) message accepted",  # sendmail, OpenSMTPD
        r"\bqueued \(([^\s()]+)\)",  # Haraka
        r"^ok:? ([0-9a-z][0-9a-z-]{11,})$",  # Amazon SES
        r"^ok\s+\d+ (\S+) - gsmtp$",  # Google
    )
)


class MalformedReply(ValueError):
    """The bytes are no SMTP reply: a line without a three-digit code of class 2 to 5."""


def reply_code(raw: bytes) -> int:
    """The basic code that opens ``raw``. Raises `MalformedReply`."""
    digits = raw[:3]
    if len(digits) != 3 or not digits.isdigit() or not b"2" <= digits[:1] <= b"5":  # noqa: PLR2004 - three digits
        raise MalformedReply("the server's answer is not an SMTP reply")
    return int(digits)


def parse(raw: bytes) -> Reply:
    """One whole reply, all of its lines. Raises `MalformedReply`."""
    code = reply_code(raw)
    enhanced, texts = "", []
    for line in raw.splitlines():
        text = _printable(line[4:])
        found = _ENHANCED.match(text)
        if found:
            enhanced = enhanced or found.group(1)
            text = text[found.end() :]
        texts.append(text)
    return Reply(code, " ".join(filter(None, texts))[:MAX_TEXT], enhanced)


def _printable(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())


def queue_id(reply: Reply) -> str:
    """The id the server gave the message ("queued as 4Xyz…"), or "" when its words hold none we know."""
    if not reply.accepted:
        return ""
    for pattern in _QUEUE_IDS:
        found = pattern.search(reply.text)
        if found:
            return found.group(1)[:MAX_QUEUE_ID]
    return ""


def too_many_recipients(reply: Reply) -> bool:
    """Whether only this transaction is full: 452 with 4.5.3 (RFC 3463), or without a status in words as Exim's."""
    if reply.code != TOO_MANY:
        return False
    return reply.enhanced == "4.5.3" or (not reply.enhanced and "too many recipients" in reply.text.lower())


def smtp_class(reply: Reply) -> str:
    """A label of few values for metrics and tables: "2xx", "4xx", "5xx", or "none" for a lost link."""
    return "none" if reply.code == NO_REPLY else f"{reply.code // 100}xx"
