"""The way out through any other Django backend: console, file, memory, or a provider's HTTP API.

Such a backend takes a message or raises; there is one outcome for all recipients, save where it tells them apart as
``smtplib`` does.
"""

from __future__ import annotations

import logging
import smtplib
import time
from typing import Any, Dict, Iterable, Iterator, Mapping

from django.core.mail.backends.base import BaseEmailBackend
from django.utils.module_loading import import_string

from email_relay.exceptions import ServerUnavailable, UnreadablePayload
from email_relay.relay.replies import parse
from email_relay.relay.transport.base import NO_REPLY, Delivery, Parcel, Reply

logger = logging.getLogger("email_relay.relay")

TAKEN = Reply(250, "taken by the backend")
NOT_TAKEN = Reply(451, "the backend reports that it did not send the message")
UNREADABLE = Reply(554, "the stored message cannot be handed to a Django backend", "5.6.0")


def queues(backend: type) -> bool:
    """Whether mail sent by this backend comes back into the queue."""
    from email_relay.backend import RelayDatabaseEmailBackend

    return issubclass(backend, RelayDatabaseEmailBackend)


class DjangoTransport:
    """Sessions over instances of the backend at ``path``, each made with ``options``."""

    def __init__(self, path: str, options: Mapping[str, Any]) -> None:
        self._path = path
        self._options = dict(options)

    @property
    def server(self) -> str:
        return self._path

    def connect(self) -> DjangoSession:
        try:
            backend = import_string(self._path)(**self._options)
            backend.open()
        except Exception as error:
            raise ServerUnavailable(f"{self._path}: {_described(error)}") from error
        return DjangoSession(backend)


class DjangoSession:
    """Owns an open backend instance."""

    def __init__(self, backend: BaseEmailBackend) -> None:
        self._backend = backend

    def deliver(self, parcels: Iterable[Parcel]) -> Iterator[Delivery]:
        """See `base.Session`."""
        for parcel in parcels:
            began = time.monotonic()
            replies = self._send(parcel)
            yield Delivery(parcel, replies, next(iter(replies.values()), TAKEN), time.monotonic() - began)

    def _send(self, parcel: Parcel) -> Dict[str, Reply]:
        from email_relay.mime import to_email

        everyone = dict.fromkeys(parcel.recipients, TAKEN)
        try:
            email = to_email(parcel.content, parcel.sender, parcel.recipients)
        except (UnreadablePayload, ValueError, LookupError):
            return dict.fromkeys(everyone, UNREADABLE)
        try:
            sent = self._backend.send_messages([email])
        except smtplib.SMTPRecipientsRefused as error:
            return {address: _refusal(error, address) for address in everyone}
        except Exception as error:  # noqa: BLE001
            return dict.fromkeys(everyone, classify(error))
        return everyone if sent is None or sent else dict.fromkeys(everyone, NOT_TAKEN)

    def close(self) -> None:
        """Never raises: what a backend says at its end concerns no message."""
        try:
            self._backend.close()
        except Exception as error:  # noqa: BLE001 - a backend may raise anything
            logger.debug("closing the backend failed: %s", type(error).__name__)


def classify(error: Exception) -> Reply:
    """What an exception of a backend means: SMTP codes decide; all else is temporary, with no more than its name (P13)."""
    if isinstance(error, smtplib.SMTPSenderRefused):
        return _reply(error.smtp_code, error.smtp_error)
    if isinstance(error, smtplib.SMTPResponseException):
        return _reply(error.smtp_code, error.smtp_error)
    return Reply(NO_REPLY, _described(error))


def _refusal(error: smtplib.SMTPRecipientsRefused, address: str) -> Reply:
    said = error.recipients.get(address)
    return _reply(*said) if said else Reply(NO_REPLY, _described(error))


def _reply(code: int, text: Any) -> Reply:
    words = text if isinstance(text, bytes) else str(text).encode("utf-8", "replace")
    said = parse(b"250 " + b" ".join(words.split()))
    return Reply(code if 200 <= code < 600 else NO_REPLY, said.text, said.enhanced)  # noqa: PLR2004


def _described(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"
