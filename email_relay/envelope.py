"""From an `EmailMessage` to what is queued: envelope, bytes, options, and a description for people.

Pure: no database, no clock but the one Django's ``message()`` reads for the Date header. The message is rendered once, here,
by the project's own Django; every attempt sends these bytes (P4). What cannot be rendered raises here, in the client
that wrote it (P5).
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message as StandardMessage
from email.utils import formatdate, make_msgid
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from django.conf import settings
from django.core.mail import DNS_NAME, EmailMessage

from email_relay.addresses import to_envelope, unique
from email_relay.compat import flatten, render
from email_relay.conf import relay_settings
from email_relay.describe import describe, storable
from email_relay.exceptions import MessageTooLarge, UnencodableMessage
from email_relay.options import PREFIX, Options, option_headers, read_options
from email_relay.staging import restrict

MESSAGE_ID_LENGTH = 255
_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True)
class Prepared:
    """One message ready to be queued. ``content`` is RFC 5322 with CRLF line ends, the last line ended, and no Bcc."""

    sender: str
    recipients: Tuple[str, ...]
    content: bytes
    message_id: str
    data: Dict[str, Any]
    options: Options

    @property
    def size(self) -> int:
        return len(self.content)


def prepare(email: EmailMessage, defaults: Optional[Mapping[str, Any]] = None) -> Optional[Prepared]:
    """Render and check a message; None if it has no recipients (Django sends nothing then either).

    Raises the `MessageError` family, and whatever Django raises while rendering, such as ``BadHeaderError``.
    """
    meant = email.recipients()
    if not meant:
        return None
    headers = option_headers(email) if email.extra_headers else {}
    options = read_options(email, headers, defaults or {})
    encoding = email.encoding or settings.DEFAULT_CHARSET
    sender = to_envelope(email.from_email, encoding)
    recipients, original_to = restrict(unique(to_envelope(address, encoding) for address in meant), relay_settings())
    if not recipients:
        return None
    with _without(headers, email):
        message_id, content = _rendered(email)
        data = describe(email)
    content = original_to + content
    _check_size(content)
    return Prepared(sender, tuple(recipients), content, message_id, data, options)


@contextmanager
def _without(option_names: Mapping[str, str], email: EmailMessage) -> Iterator[None]:
    """The message for a moment without its option headers; they say something to us, not to the reader."""
    if not option_names:
        yield
        return
    given = email.extra_headers
    taken = {PREFIX + name.replace("_", "-") for name in option_names}
    email.extra_headers = {name: value for name, value in given.items() if name.lower().replace("_", "-") not in taken}
    try:
        yield
    finally:
        email.extra_headers = given


def _rendered(email: EmailMessage) -> Tuple[str, bytes]:
    """Message-ID and bytes."""
    try:
        message = render(email)
        if "Bcc" in message:
            del message["Bcc"]
        content = flatten(message)
    except (UnicodeError, LookupError) as error:
        raise UnencodableMessage(f"The message cannot be rendered: {_reason(error)}.") from error
    missing, message_id = _missing_headers(message)
    return message_id, missing + _with_line_ends(content)


def _missing_headers(message: StandardMessage) -> Tuple[bytes, str]:
    """Header lines an overridden ``message()`` left out; without them each server on the way would make up its own."""
    lines: List[str] = []
    message_id = message["Message-ID"]
    if message_id is None:
        message_id = make_msgid(domain=str(DNS_NAME))
        lines.append(f"Message-ID: {message_id}\r\n")
    if message["Date"] is None:
        lines.append(f"Date: {formatdate(localtime=settings.EMAIL_USE_LOCALTIME)}\r\n")
    return "".join(lines).encode("ascii"), storable(message_id).strip()[:MESSAGE_ID_LENGTH]


def _with_line_ends(content: bytes) -> bytes:
    """CRLF everywhere, as smtplib sees to for text: servers refuse bare CR and LF."""
    lines = content.count(b"\r\n")
    if content.count(b"\n") != lines or content.count(b"\r") != lines:
        content = _LINE_END.sub(b"\r\n", content)
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def _check_size(content: bytes) -> None:
    limit = relay_settings().MESSAGE_MAX_BYTES
    if len(content) > limit:
        raise MessageTooLarge(f"The message has {len(content):,} bytes; MESSAGE_MAX_BYTES allows {limit:,}.")


def _reason(error: Exception) -> str:
    """What went wrong, without the text it went wrong on (P13)."""
    if isinstance(error, UnicodeEncodeError):
        return f"{error.encoding} cannot encode the character at position {error.start}"
    return type(error).__name__ if isinstance(error, UnicodeError) else str(error)
