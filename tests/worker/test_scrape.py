"""What a scrape of the metrics costs."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from email_relay.models import Status
from relay_worker.metrics import QueueCollector
from tests.relay.rows import ALIAS, queued, sending
from tests.support.plans import asked_of_messages, plan, whole_scans


@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="the plans are PostgreSQL's")
def test_however_much_was_sent_a_scrape_reads_it_not():
    for status in (Status.QUEUED, Status.DEFERRED, Status.HELD):
        queued(status=status)
    sending()
    with CaptureQueriesContext(connection) as queries:
        families = {family.name: family for family in QueueCollector(ALIAS).collect()}
    assert sum(sample.value for sample in families["email_relay_queue_messages"].samples) == 4
    asked = asked_of_messages(queries)
    assert asked
    for sql in asked:
        assert whole_scans(plan(sql)) == [], sql
