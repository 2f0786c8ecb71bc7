"""The email backend of client projects: a thin adapter over `email_relay.queue.enqueue`."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

from email_relay.compat import HAS_MAILERS
from email_relay.exceptions import ConfigurationError, InvalidOption
from email_relay.options import CONVERTERS, check_defaults
from email_relay.queue import enqueue

IGNORED = ("username", "password")  # what send_mail(auth_user=…) hands to every backend


class RelayDatabaseEmailBackend(BaseEmailBackend):
    """Sending becomes one INSERT into the relay database.

    ``priority``, ``send_at`` and ``expires_at`` (``OPTIONS`` of a mailer, or keywords of ``get_connection``) are defaults
    for messages that do not say otherwise. Raises `ConfigurationError` for an option there is not, or, in ``MAILERS``,
    Django's own ``InvalidMailer``.
    """

    def __init__(self, fail_silently: bool = False, *, alias: Optional[str] = None, **options: Any) -> None:
        self.defaults: Dict[str, Any] = {name: options.pop(name) for name in CONVERTERS if name in options}
        try:
            check_defaults(self.defaults)
        except InvalidOption as error:
            raise ConfigurationError(f"Bad option of {type(self).__name__}: {error}") from error
        self._initialize_base(fail_silently, alias, options)
        self.fail_silently = fail_silently

    def _initialize_base(self, fail_silently: bool, alias: Optional[str], options: Dict[str, Any]) -> None:
        if HAS_MAILERS and alias is not None:
            super().__init__(alias=alias, **options)
            return
        unknown = [name for name in options if name not in IGNORED]
        if unknown:
            raise ConfigurationError(f"{type(self).__name__} has no option {', '.join(map(repr, unknown))}.")
        if HAS_MAILERS:
            super().__init__()
        else:
            super().__init__(fail_silently=fail_silently)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Queue messages; returns how many were taken."""
        if not email_messages:
            return 0
        return enqueue(email_messages, defaults=self.defaults, fail_silently=self.fail_silently, sender=type(self))
