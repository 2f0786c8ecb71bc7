"""What the test SMTP server receives, and what a script makes it say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

Answer = Any  # None, a reply or Close


@dataclass(frozen=True)
class Received:
    """A message the server took, and how it came."""

    mail_from: str
    rcpt_to: tuple[str, ...]
    content: bytes
    """The bytes as they were sent, CRLF and all, without the final dot."""
    options: tuple[str, ...]
    """Parameters of MAIL, such as BODY=8BITMIME."""
    queue_id: str
    session: int
    """Number of the connection it came by, from 1."""
    peer: tuple
    at: float
    """time.time() when the last byte was there."""
    tls: bool = False
    user: str | None = None


@dataclass(frozen=True)
class Close:
    """End the session: with a last reply, or without a word; *keep*: having taken the message (on_message only)."""

    reply: str | None = None
    keep: bool = False
    reset: bool = False
    """Send RST instead of FIN."""


@dataclass
class Script:
    """What the server says instead of the usual. ``delay`` are seconds before each reply."""

    on_connect: Callable[[], Answer] | None = None
    on_ehlo: Callable[[], Answer] | None = None
    on_starttls: Callable[[], Answer] | None = None
    on_auth: Callable[[str], Answer] | None = None
    on_mail: Callable[[str], Answer] | None = None
    on_rcpt: Callable[[str], Answer] | None = None
    on_data: Callable[[], Answer] | None = None
    on_message: Callable[[Received], Answer] | None = None
    on_rset: Callable[[], Answer] | None = None
    on_noop: Callable[[], Answer] | None = None
    on_quit: Callable[[], Answer] | None = None
    delay: float = 0.0

    def ask(self, event: str, *arguments: Any) -> Answer:
        callback = getattr(self, "on_" + event)
        return callback(*arguments) if callback else None
