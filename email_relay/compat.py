"""Every branch on Django's version, in one place."""

from __future__ import annotations

from email.generator import BytesGenerator
from email.message import Message as StandardMessage
from email.policy import SMTP, compat32
from io import BytesIO
from smtplib import quoteaddr
from typing import Any

import django
from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend
from django.db import models

from email_relay.flattening import QuickCompat32, set_boundaries

HAS_MAILERS = django.VERSION >= (6, 1)
HAS_MODERN_MAIL = django.VERSION >= (6, 0)

# the stubs know one Django only
_backend: Any = EmailBackend
_settings: Any = settings

if not HAS_MODERN_MAIL:
    from django.core.mail.message import MIMEMixin, sanitize_address

_COMPAT32 = QuickCompat32(linesep="\r\n")
_NO_BACKEND: Any = None  # `prep_address` is a method that never looks at its backend


def check_constraint(*, name: str, condition: models.Q) -> models.CheckConstraint:
    """A check constraint; ``check=`` became ``condition=`` in Django 5.1."""
    keyword = "condition" if django.VERSION >= (5, 1) else "check"
    arguments: dict[str, Any] = {keyword: condition, "name": name}
    return models.CheckConstraint(**arguments)


def mailers_setting() -> dict[str, dict[str, Any]]:
    """``MAILERS`` where Django knows it (6.1) and the project sets it; otherwise an empty dictionary."""
    if not HAS_MAILERS or not _settings.is_overridden("MAILERS"):
        return {}
    return dict(_settings.MAILERS)


def render(message: EmailMessage) -> StandardMessage:
    """What Django's SMTP backend of this Django would send, as an object of the standard library."""
    arguments: dict[str, Any] = {"policy": SMTP} if HAS_MODERN_MAIL else {}
    rendered: StandardMessage = message.message(**arguments)
    return rendered


def flatten(message: StandardMessage) -> bytes:
    """The bytes Django's SMTP backend would hand to smtplib: CRLF, lines that begin with ``From`` left alone."""
    set_boundaries(message)
    if HAS_MODERN_MAIL:
        return message.as_bytes()
    if isinstance(message, MIMEMixin) and type(message).as_bytes is not MIMEMixin.as_bytes:
        return message.as_bytes(linesep="\r\n")  # the project's own
    policy = _COMPAT32 if message.policy is compat32 else message.policy.clone(linesep="\r\n")
    target = BytesIO()
    BytesGenerator(target, mangle_from_=False, policy=policy).flatten(message)
    return target.getvalue()


def envelope_address(address: Any, encoding: str) -> str:
    """The address as it follows ``MAIL FROM:<`` or ``RCPT TO:<``. Raises ValueError, as Django's SMTP backend does."""
    modern = HAS_MODERN_MAIL
    prepared = _backend.prep_address(_NO_BACKEND, address) if modern else sanitize_address(address, encoding)
    return quoteaddr(prepared)[1:-1]
