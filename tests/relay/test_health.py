"""What a heartbeat tells of the queue, and what it costs to know."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from email_relay.models import Status
from email_relay.relay import health
from tests.relay.rows import ALIAS, ago, queued, sending
from tests.support.plans import asked_of_messages, plan, whole_scans

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def some_of_each():
    for status in (Status.QUEUED, Status.QUEUED, Status.DEFERRED, Status.HELD, Status.CANCELED):
        queued(status=status)
    queued(status=Status.SENT, sent_at=ago(0), worker="w")
    queued(status=Status.FAILED, worker="w")
    sending()


def test_what_waits_is_counted_by_state_and_what_has_ended_is_not():
    assert health.waiting_by_status(ALIAS) == {"queued": 2, "deferred": 1, "sending": 1, "held": 1}


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="the plans are PostgreSQL's")
@pytest.mark.parametrize("ask", [health.waiting_by_status, health.settled_lately, health.oldest_due_age])
def test_however_much_was_sent_nothing_reads_it_all(ask):
    with CaptureQueriesContext(connection) as queries:
        ask(ALIAS)
    asked = asked_of_messages(queries)
    assert asked
    for sql in asked:
        assert whole_scans(plan(sql)) == [], sql
