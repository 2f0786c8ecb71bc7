"""Settings of a client project: mail is queued, in the one database of the suite."""

from __future__ import annotations

from typing import Any, Callable

import pytest
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.test import override_settings

from email_relay.models import Message

BACKEND = "email_relay.backend.RelayDatabaseEmailBackend"


@pytest.fixture(autouse=True)
def queueing() -> Any:
    """Mail goes to the queue, as in a project that has set the one line."""
    with override_settings(EMAIL_BACKEND=BACKEND):
        yield


@pytest.fixture
def relay_setting() -> Any:
    """Sets keys of DJANGO_EMAIL_RELAY for the test."""
    entered = []

    def change(**keys: Any) -> None:
        override = override_settings(DJANGO_EMAIL_RELAY=keys)
        override.enable()
        entered.append(override)

    yield change
    for override in reversed(entered):
        override.disable()


@pytest.fixture
def mail() -> Callable[..., EmailMultiAlternatives]:
    def make(subject: str = "Hello", body: str = "Body", **fields: Any) -> EmailMultiAlternatives:
        fields.setdefault("from_email", "sender@example.com")
        fields.setdefault("to", ["reader@example.org"])
        return EmailMultiAlternatives(subject, body, **fields)

    return make


@pytest.fixture
def only_row(db: Any) -> Callable[[], Message]:
    return Message.objects.get


class RolledBack(Exception):
    """Raised to roll a transaction back."""


def send_and_roll_back(email: EmailMultiAlternatives, using: str = "default") -> None:
    """Send inside a transaction on that alias which does not come to an end; raises `RolledBack`."""
    with transaction.atomic(using=using):
        email.send()
        raise RolledBack
