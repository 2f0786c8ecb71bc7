"""What the gate stops, and what becomes of the rest."""

from __future__ import annotations

import pytest

from email_relay.exceptions import UnreadablePayload
from email_relay.models import Message, Status, Suppression
from email_relay.relay import gate
from email_relay.relay.transport.memory import MemoryTransport
from tests.relay.rows import queued

pytestmark = pytest.mark.django_db


def test_p3_what_was_refused_before_is_kept_beside_what_is_suppressed_now(run):
    Suppression.objects.create(pattern="stop@example.com")
    to = ["stop@example.com", "refused@example.com", "go@example.com"]
    queued(recipients=to, pending=[to[0], to[2]], refused={to[1]: "550 no"})
    run()
    assert Message.objects.get().refused == {to[1]: "550 no", to[0]: gate.SUPPRESSED}


def test_every_recipient_is_looked_up_however_many_there_are(run, monkeypatch):
    monkeypatch.setattr(gate, "CHUNK", 3)
    to = [f"to{number}@example.com" for number in range(7)]
    for address in (to[0], to[6]):
        Suppression.objects.create(pattern=address)
    queued(recipients=to)
    transport = MemoryTransport()
    run(transport)
    assert transport.accepted() == to[1:6]


def test_p5_a_message_whose_recipients_are_all_suppressed_fails_beside_one_that_goes_out(run):
    Suppression.objects.create(pattern="@example.com")
    queued("shop", recipients=["a@example.com"])
    queued("crm", recipients=["b@example.org"])
    queued("late", recipients=["c@example.org"], expires_at=Message.objects.first().due_at)
    run()
    assert dict(Message.objects.values_list("source", "status")) == {
        "shop": Status.FAILED,
        "crm": Status.SENT,
        "late": Status.FAILED,
    }
    assert "suppressed" in Message.objects.get(source="shop").log


def test_nothing_is_asked_about_recipients_while_nobody_is_suppressed(run, monkeypatch):
    def asked(*_):
        raise AssertionError

    monkeypatch.setattr(gate, "_suppressed", asked)
    queued()
    assert run().sent == 1


def test_a_bounce_goes_out_with_the_empty_sender(run):
    queued(envelope_from=None)
    queued(envelope_from="")
    transport = MemoryTransport()
    run(transport)
    assert [delivery.parcel.sender for delivery in transport.delivered] == ["", ""]


def test_p13_why_a_row_cannot_be_read_stands_in_the_row_and_in_no_log(run, monkeypatch, caplog):
    def unreadable(_):
        raise UnreadablePayload("no address: secret-recipient")

    monkeypatch.setattr(gate, "content_of", unreadable)
    queued(mime=None)
    assert run().failed == 1
    assert "secret-recipient" in Message.objects.get().log
    assert "Cannot be read." in caplog.text
    assert "secret-recipient" not in caplog.text
