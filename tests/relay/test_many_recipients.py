"""One message to more recipients than a server takes in one transaction."""

from __future__ import annotations

from collections import Counter

import pytest

from email_relay.models import Message, Status
from tests.relay.rows import queued
from tests.relay.transport.sending import smtp
from tests.support.smtpserver import Script, SmtpServer

pytestmark = pytest.mark.django_db
LIMIT = 1000


class Limited(Script):
    """Postfix and others count the recipients of a transaction and refuse those beyond the limit for now."""

    def __init__(self):
        super().__init__(on_mail=self.begin, on_rcpt=self.count)
        self.taken = 0

    def begin(self, _address):
        self.taken = 0

    def count(self, _address):
        self.taken += 1
        return "452 4.5.3 Error: too many recipients" if self.taken > LIMIT else None


def test_p3_ten_thousand_recipients_get_it_once_each_in_one_drain(run):
    recipients = [f"reader{number}@example.com" for number in range(10_000)]
    queued(recipients=recipients)
    with SmtpServer(Limited()) as server:
        report = run(smtp(server))
        received = server.received
    assert Counter(to for message in received for to in message.rcpt_to) == Counter(recipients)
    assert [len(message.rcpt_to) for message in received] == [LIMIT] * 10
    row = Message.objects.get()
    assert (row.status, row.retry_count, row.pending) == (Status.SENT, 0, None)
    assert (report.sent, report.reason) == (1, "nothing due")
