"""A stored message in Django's own class: readable by field, and sent byte for byte as it was queued. Pure."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import Message as StandardMessage
from email.mime.base import MIMEBase
from typing import Any

from django.core.mail import EmailMultiAlternatives

from email_relay.compat import HAS_MODERN_MAIL


class StoredMessage(StandardMessage):
    """A parsed message whose bytes are those it was parsed from, whatever generator is asked for."""

    stored: bytes = b""

    def as_bytes(self, unixfrom: bool = False, policy: Any = None, linesep: str | None = None) -> bytes:
        """The stored bytes; line ends as asked for (CRLF for SMTP, LF for files and consoles)."""
        wanted = linesep or (policy or self.policy).linesep
        return self.stored if wanted == "\r\n" else self.stored.replace(b"\r\n", wanted.encode("ascii"))

    def as_string(self, unixfrom: bool = False, maxheaderlen: int = 0, policy: Any = None, linesep: str = "\n") -> str:
        return self.as_bytes(policy=policy, linesep=linesep).decode("utf-8", "replace")


class StoredEmail(EmailMultiAlternatives):
    """A message out of the queue.

    Its fields are there to be read, by people and by backends that talk to a provider's API; ``message()`` ignores them
    and gives what was rendered when the message was queued.
    """

    def __init__(self, content: bytes, **fields: Any) -> None:
        super().__init__(**fields)
        self.stored = content

    def message(self, *, policy: Any = policy.compat32) -> Any:
        message = message_from_bytes(self.stored, _class=StoredMessage, policy=policy)
        message.stored = self.stored
        return message


def django_part(part: StandardMessage) -> StandardMessage:
    """A parsed part in the class that this Django takes as an attachment."""
    if HAS_MODERN_MAIL:
        modern: StandardMessage = message_from_bytes(part.as_bytes(), policy=policy.default)
        return modern
    converted = MIMEBase(part.get_content_maintype(), part.get_content_subtype())
    for name in list(converted.keys()):
        del converted[name]
    for name, value in part.items():
        converted[name] = value
    converted.set_payload(part.get_payload())
    return converted
