"""What a page asks of the table of messages is served by an index, so that what was sent long ago costs nothing.

The bare list, newest first up to a limit, is not among these pages: ``benchmarks/console.py`` shows what it costs.
"""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from email_relay.models import Status
from tests.support.plans import asked_of_messages, plan, whole_scans

LIST = "admin:email_relay_message_changelist"
PAGES = {
    "dashboard": ("admin:email_relay_message_dashboard", {}),
    "waiting": (LIST, {"state": "queued"}),
    "failed": (LIST, {"state": "failed"}),
    "held": (LIST, {"state": "held"}),
    "due": (LIST, {"due": "now"}),
    "dates": (LIST, {"after": "2026-01-01", "before": "2026-01-02"}),
    "domain": (LIST, {"domain": "example.com"}),
    "recipient": (LIST, {"q": "ann@example.com"}),
    "message id": (LIST, {"q": "<1@example.com>"}),
    "queue id": (LIST, {"q": "4WbX"}),
    "subject": (LIST, {"q": "subject:hello"}),
}
pytestmark = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="the plans are PostgreSQL's")


@pytest.fixture
def plans(operator, queued):
    """Each statement about messages of one page, with its plan where a scan of the table is the last resort."""
    for status in (Status.SENT, Status.QUEUED, Status.DEFERRED, Status.HELD, Status.FAILED):
        queued(status=status)

    def ask(name, query):
        with CaptureQueriesContext(connection) as queries:
            assert operator.get(reverse(name), query).status_code == 200
        return [(sql, plan(sql)) for sql in asked_of_messages(queries)]

    return ask


@pytest.mark.parametrize("page", PAGES)
def test_no_page_reads_all_that_was_ever_sent(plans, page):
    asked = plans(*PAGES[page])
    assert asked
    for sql, found in asked:
        assert whole_scans(found) == [], f"{sql}\n{found}"


def test_the_dashboard_reads_sent_messages_by_their_instant_alone(plans):
    """The one index over what was sent is entered at the last hours."""
    sent = [found for sql, found in plans(*PAGES["dashboard"]) if f'"status" = {int(Status.SENT)}' in sql]
    assert len(sent) == 1
    assert "using email_relay_sent" in sent[0]
    assert "Index Cond: (sent_at >=" in sent[0]


@pytest.mark.parametrize("page", ["waiting", "failed", "held", "due", "recipient"])
def test_few_rows_are_sorted_not_looked_for_from_the_newest_backwards(plans, page):
    """The planner thinks they are many, and would walk through a million sent ones to find them."""
    listed = [
        sql for sql, _ in plans(*PAGES[page]) if "ORDER BY" in sql and "LIMIT" not in sql.partition("ORDER BY")[0]
    ]
    assert listed
    assert all('("email_relay_message"."id" + 0) DESC' in sql for sql in listed), listed
