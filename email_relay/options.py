"""Per-message options: how urgent, not before when, not after when, and the key that makes a repeat harmless.

Each is looked for on the message (attribute), then in its ``X-Email-Relay-…`` headers, then in the mailer's defaults
(``OPTIONS``), then in the settings. Pure.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Dict, Mapping, Optional, Union

from django.core.mail import EmailMessage
from django.utils.dateparse import parse_datetime, parse_duration

from email_relay.conf import relay_settings
from email_relay.exceptions import InvalidOption

Instant = Union[datetime, timedelta]

PREFIX = "x-email-relay-"
ORIGINAL_TO = "X-Email-Relay-Original-To"
KEY_LENGTH = 255
FARTHEST = timedelta(days=3650)
PRIORITIES = {"low": 1, "medium": 2, "high": 3, "1": 1, "2": 2, "3": 3}


@dataclass(frozen=True)
class Options:
    """The options of one message, checked. A timedelta counts from the moment of the INSERT, by the database's clock."""

    priority: int
    send_at: Optional[Instant] = None
    expires_at: Optional[Instant] = None
    idempotency_key: Optional[str] = None


def _priority(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= max(PRIORITIES.values()):
        return int(value)
    if isinstance(value, str) and value.strip().lower() in PRIORITIES:
        return PRIORITIES[value.strip().lower()]
    raise InvalidOption("priority must be 1 (low), 2 (medium) or 3 (high), or one of these words.")


def _instant(name: str) -> Callable[[Any], Instant]:
    def convert(value: Any) -> Instant:
        parsed = _parse(name, value) if isinstance(value, str) else value
        if isinstance(parsed, timedelta) and timedelta(0) <= parsed <= FARTHEST:
            return parsed
        if isinstance(parsed, datetime):
            return _aware(name, parsed)
        raise InvalidOption(f"{name} must be an aware datetime, or a timedelta from 0 to {FARTHEST.days} days.")

    return convert


def _parse(name: str, text: str) -> Any:
    """A text from a header: an ISO 8601 instant with offset, an ISO 8601 duration, or seconds."""
    stripped = text.strip()
    try:
        if re.fullmatch(r"\d{1,9}(\.\d+)?", stripped):
            return timedelta(seconds=float(stripped))
        return parse_datetime(stripped) or parse_duration(stripped)
    except ValueError as error:
        raise InvalidOption(f"{name} is no instant that exists.") from error


def _aware(name: str, value: datetime) -> datetime:
    if value.utcoffset() is None:
        raise InvalidOption(f"{name} is a naive datetime; give it a time zone.")
    try:
        return value.astimezone(timezone.utc)
    except OverflowError as error:
        raise InvalidOption(f"{name} is out of range.") from error


def _key(value: Any) -> str:
    text = str(value) if isinstance(value, (str, uuid.UUID)) else ""
    if not text or len(text) > KEY_LENGTH or not text.isprintable():
        raise InvalidOption(f"idempotency_key must be a printable text of 1 to {KEY_LENGTH} characters.")
    return text


CONVERTERS: Dict[str, Callable[[Any], Any]] = {
    "priority": _priority,
    "send_at": _instant("send_at"),
    "expires_at": _instant("expires_at"),
    "idempotency_key": _key,
}


def check_defaults(defaults: Mapping[str, Any]) -> None:
    """Refuse defaults of a mailer that cannot be meant. Raises `InvalidOption`."""
    for name, value in defaults.items():
        if name not in CONVERTERS:
            raise InvalidOption(f"{name!r} is no option; there are {', '.join(CONVERTERS)}.")
        if name == "idempotency_key" and value is not None:
            raise InvalidOption("idempotency_key as a default would queue the first message alone and drop the rest.")
        if value is not None:
            CONVERTERS[name](value)


def option_headers(email: EmailMessage) -> Dict[str, str]:
    """The ``X-Email-Relay-…`` headers of a message by option name. Raises `InvalidOption` for a name that is none."""
    found = {}
    for header, value in email.extra_headers.items():
        lower = header.lower()
        if lower.startswith(PREFIX) and lower != ORIGINAL_TO.lower():
            name = lower[len(PREFIX) :].replace("-", "_")
            if name not in CONVERTERS:
                raise InvalidOption(f"{header!r} names no option; there are {', '.join(CONVERTERS)}.")
            found[name] = str(value)
    return found


def read_options(email: EmailMessage, headers: Mapping[str, str], defaults: Mapping[str, Any]) -> Options:
    """The options in force for a message. Raises `InvalidOption` that names the option."""
    found: Dict[str, Any] = {"priority": relay_settings().DEFAULT_PRIORITY}
    for name, convert in CONVERTERS.items():
        for value in (getattr(email, name, None), headers.get(name), defaults.get(name)):
            if value is not None:
                found[name] = convert(value)
                break
    options = Options(**found)
    if _ends_before_it_begins(options.send_at, options.expires_at):
        raise InvalidOption("expires_at is not after send_at.")
    return options


def _ends_before_it_begins(begin: Optional[Instant], end: Optional[Instant]) -> bool:
    if isinstance(begin, datetime) and isinstance(end, datetime):
        return end <= begin
    return isinstance(begin, timedelta) and isinstance(end, timedelta) and end <= begin
