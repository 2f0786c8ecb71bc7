"""Every error the package raises on purpose; read from top to bottom it is a table of what can go wrong.

Each error also inherits the Django or stdlib type that callers already catch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from email_relay.relay.transport.base import Parcel


class EmailRelayError(Exception):
    """Base of all errors of this package."""


class ConfigurationError(EmailRelayError, ImproperlyConfigured):
    """A setting is unknown, ill-typed or contradicts another. Never swallowed by ``fail_silently``."""


class MessageError(EmailRelayError, ValueError):
    """The message cannot be queued as it is; nothing was written. Never swallowed by ``fail_silently``."""


class InvalidOption(MessageError):
    """A per-message option (priority, send_at, expires_at, idempotency_key) has a value that cannot be used."""


class InvalidAddress(MessageError):
    """An envelope address is empty, malformed or carries control characters."""


class UnencodableMessage(MessageError):
    """The message cannot be rendered to bytes: lone surrogates, a charset that lacks the characters, and the like."""


class MessageTooLarge(MessageError):
    """The rendered message exceeds ``MESSAGE_MAX_BYTES``."""


class QueueUnavailable(EmailRelayError):
    """The relay database cannot take the message now (down, read-only, not migrated). ``fail_silently`` swallows it."""


class UnreadablePayload(EmailRelayError, ValueError):
    """A row's ``data`` or ``mime`` cannot be turned back into a message; that row fails alone."""


class Fault(EmailRelayError):
    """A task of the relay broke. Says on what and where, and never what that error said: it may have quoted a mail."""


class TransportError(EmailRelayError):
    """Base of what a way out may raise; ``untouched`` were handed over but never offered to the server."""

    def __init__(self, reason: str, untouched: Sequence[Parcel] = (), code: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.untouched = tuple(untouched)
        self.code = code


class ServerUnavailable(TransportError):
    """The server (or the account on it) is in trouble: connect, greeting, EHLO, STARTTLS or AUTH failed.

    No message is to blame: they wait and the circuit opens.
    """


class SessionEnded(TransportError):
    """The server ended a session that had worked: a limit per session, an idle drop. A new session goes on at once."""
