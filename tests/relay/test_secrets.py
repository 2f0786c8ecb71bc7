"""P13: what the relay writes about mail names no subject, body, address or password."""

from __future__ import annotations

import logging

import pytest

from email_relay.models import Message
from email_relay.relay.transport.base import Reply
from email_relay.relay.transport.memory import MemoryTransport
from tests.relay.rows import ago, legacy, queued

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
