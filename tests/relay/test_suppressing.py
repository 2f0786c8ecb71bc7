"""The suppression list feeds itself, when that is switched on."""

from __future__ import annotations

import pytest

from email_relay.models import Suppression
from email_relay.relay.transport.base import Reply
from email_relay.relay.transport.memory import MemoryTransport
from tests.relay.rows import queued

pytestmark = pytest.mark.django_db(transaction=True)

REPLIES = {
    "gone@example.com": Reply(550, "no such user", "5.1.1"),
    "full@example.com": Reply(552, "mailbox full", "5.2.2"),
    "here@example.com": Reply(250, "ok"),
}


def refusing() -> MemoryTransport:
    return MemoryTransport(lambda parcel, recipient: REPLIES[recipient.lower()])


def test_only_unknown_users_are_suppressed(run):
    queued(recipients=["Gone@example.com", "full@example.com", "here@example.com"])
    run(refusing(), SUPPRESS_UNKNOWN_USERS=True)
    listed = Suppression.objects.get()
    assert listed.pattern == "gone@example.com"
    assert "no such user" in listed.reason


def test_without_the_setting_nothing_is_suppressed(run):
    queued(recipients=["gone@example.com"])
    run(refusing())
    assert not Suppression.objects.exists()
