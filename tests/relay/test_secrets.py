"""P13: what the relay writes about mail names no subject, body, address or password."""

from __future__ import annotations

import logging
from traceback import format_exception

import pytest
from django.core.management import CommandError, call_command

from email_relay.models import Message
from email_relay.relay.transport.base import Reply
from email_relay.relay.transport.memory import MemoryTransport
from tests.relay.rows import ago, legacy, queued
from tests.support.constraints import refusing

pytestmark = pytest.mark.django_db
SECRETS = ("topsecret-subject", "topsecret-body", "topsecret-password", "secret-recipient")


def secret(**columns):
    return queued(
        data={"subject": SECRETS[0], "to": ["secret-recipient@example.com"], "format": 2},
        mime=f"Subject: {SECRETS[0]}\r\n\r\n{SECRETS[1]} {SECRETS[2]}\r\n".encode(),
        recipients=["secret-recipient@example.com"],
        **columns,
    )


def script(parcel, to):
    answers = {
        1: Reply(451, "later"),
        2: Reply(550, "no"),
        3: RuntimeError(f"broke on {parcel.content!r} for {SECRETS[3]}"),
    }
    answer = answers.get(parcel.key % 5)
    if isinstance(answer, Exception):
        raise answer
    return answer


def test_p13_no_log_line_of_a_drain_names_content(run, caplog):
    caplog.set_level(logging.DEBUG, "email_relay")
    for _ in range(15):
        secret()
    secret(expires_at=ago(1))
    legacy({"subject": SECRETS[0], "body": SECRETS[1], "to": 7})
    legacy({"subject": SECRETS[0], "to": [f"{SECRETS[3]} @example.com"]})
    report = run(MemoryTransport(script))
    assert report.total >= 18
    written = caplog.text
    for record in caplog.records:
        written += record.getMessage()
    assert not [word for word in SECRETS if word in written]


def test_p13_no_error_kept_in_the_row_names_content(run):
    for _ in range(10):
        secret()
    run(MemoryTransport(script))
    logs = " ".join(Message.objects.values_list("log", flat=True))
    assert not [word for word in SECRETS if word in logs]


def test_p13_what_a_drain_reports_are_counts(run):
    secret()
    report = run().as_dict()
    assert not [word for word in SECRETS if word in str(report)]


@pytest.mark.django_db(transaction=True)
def test_p13_what_the_database_says_of_a_row_it_refuses_is_not_repeated(run, caplog, monkeypatch):
    """A verdict that cannot be recorded, and a run of ``runrelay --once`` that fails."""
    secret()
    with refusing("status <> 4"):
        assert run().sent == 0
    assert "IntegrityError 23514 refusing" in caplog.text
    Message.objects.update(status=1, lease_token=None, lease_until=None, worker=None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with refusing("status <> 5"), pytest.raises(CommandError, match="IntegrityError 23514 refusing") as caught:
        call_command("runrelay", once=True)
    written = caplog.text + "".join(format_exception(caught.type, caught.value, caught.tb))
    assert not [word for word in SECRETS if word in written]
