"""Which way out: by ``RELAY_MAILER``, ``RELAY_EMAIL_BACKEND`` or ``EMAIL_BACKEND``.

Django's SMTP backend means our own SMTP; any other backend is used through Django. Where ``EMAIL_BACKEND`` is the queueing
backend itself and nothing else is named, mail goes by SMTP as the ``EMAIL_*`` settings say.
"""

from __future__ import annotations

from typing import Any, Mapping

from django.utils.module_loading import import_string

from email_relay.compat import mailers_setting
from email_relay.conf import relay_settings
from email_relay.exceptions import ConfigurationError
from email_relay.relay.transport.base import Transport
from email_relay.relay.transport.config import email_setting, smtp_config
from email_relay.relay.transport.django import DjangoTransport, queues
from email_relay.relay.transport.smtp import SmtpTransport

DJANGO_SMTP = "django.core.mail.backends.smtp.EmailBackend"


def transport() -> Transport:
    """The relay's way out. Raises `ConfigurationError`."""
    relay = relay_settings()
    if relay.RELAY_MAILER and relay.RELAY_EMAIL_BACKEND:
        raise ConfigurationError("RELAY_MAILER and RELAY_EMAIL_BACKEND exclude each other: set one of them.")
    if relay.RELAY_MAILER:
        return _by_mailer(relay.RELAY_MAILER)
    if relay.RELAY_EMAIL_BACKEND:
        return _by_path(relay.RELAY_EMAIL_BACKEND)
    if mailers_setting():
        return _by_mailer("default", hint=" Name the relay's way out in RELAY_MAILER.")
    path = email_setting("EMAIL_BACKEND")
    if queues(_backend(path)):
        return SmtpTransport(smtp_config())
    return _by_path(path)


def _by_mailer(alias: str, hint: str = "") -> Transport:
    entry = mailers_setting().get(alias)
    if entry is None:
        raise ConfigurationError(f"There is no mailer {alias!r} in MAILERS for the relay to deliver by.{hint}")
    path = entry.get("BACKEND", DJANGO_SMTP)
    options: Mapping[str, Any] = entry.get("OPTIONS", {})
    if path == DJANGO_SMTP:
        return SmtpTransport(smtp_config(options))
    _refuse_queue(path, hint)
    return DjangoTransport(path, {**options, "alias": alias})


def _by_path(path: str) -> Transport:
    if path == DJANGO_SMTP:
        return SmtpTransport(smtp_config())
    _refuse_queue(path)
    return DjangoTransport(path, {})


def _refuse_queue(path: str, hint: str = "") -> None:
    if queues(_backend(path)):
        raise ConfigurationError(f"The relay cannot deliver by {path}: it would queue into itself.{hint}")


def _backend(path: str) -> type:
    try:
        found = import_string(path)
    except ImportError as error:
        raise ConfigurationError(f"The relay cannot import the backend {path}.") from error
    if not isinstance(found, type):
        raise ConfigurationError(f"{path} is not an email backend class.")
    return found
