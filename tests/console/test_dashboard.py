"""The dashboard's numbers, and what they cost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from email_relay.console import overview as overview_module
from email_relay.console import traffic
from email_relay.console.chart import chart
from email_relay.console.overview import overview
from email_relay.console.pages import dashboard as page
from email_relay.console.reasons import words
from email_relay.models import Attempt, Message, Server, Status, Worker

URL = "admin:email_relay_message_dashboard"


def test_shows_troubles(operator, queued):
    row = queued(status=Status.DEFERRED, due_at=timezone.now() - timedelta(hours=1))
    now = timezone.now()
    Server.objects.create(name="mail:25", opened_at=now, failures=3, last_error="connection refused")
    Worker.objects.create(name="relay-1", started_at=now, seen_at=now, heartbeat_at=now)
    Attempt.objects.create(
        message=row,
        number=1,
        started_at=now,
        finished_at=now,
        worker="relay-1",
        outcome="deferred",
        code=451,
        reply="451 greylisted <ann@example.com>",
    )
    shown = operator.get(reverse(URL)).content.decode()
    for expected in ("circuit of mail:25 is open", "connection refused", "relay-1", "451 greylisted", "60 minutes"):
        assert expected in shown


def test_fragment_is_only_the_inside(operator, queued):
    queued()
    fragment = operator.get(reverse(URL), {"fragment": ""})
    assert b"<html" not in fragment.content
    assert b"Due now" in fragment.content
    assert operator.post(reverse(URL)).status_code == 405


def test_an_absent_database_is_an_answer(operator, monkeypatch):
    def away():
        raise DatabaseError("secret host")

    monkeypatch.setattr(page, "overview", away)
    answer = operator.get(reverse(URL))
    assert answer.status_code == 503
    assert b"does not answer" in answer.content
    assert b"secret host" not in answer.content


def test_traffic_per_minute(queued):
    at = timezone.now() - timedelta(minutes=5)
    queued(status=Status.SENT, sent_at=at)
    queued(status=Status.SENT, sent_at=at)
    queued(status=Status.FAILED)
    minutes = overview().minutes
    assert len(minutes) == traffic.MINUTES
    assert sum(minute.sent for minute in minutes) == 2
    assert sum(minute.failed for minute in minutes) == 1
    assert {minute.sent for minute in minutes} == {0, 2}


def test_budget_shortens_the_chart_rather_than_lie(queued, monkeypatch):
    now = timezone.now()
    for minute in (9, 6, 6, 3, 1):
        queued(status=Status.SENT, sent_at=now - timedelta(minutes=minute))
    monkeypatch.setattr(traffic, "BUDGET", 3)
    state = overview()
    assert state.truncated
    assert sum(minute.sent for minute in state.minutes) == 2
    assert len(state.minutes) <= 7


def test_sent_messages_are_not_counted(queued):
    queued(status=Status.SENT)
    with CaptureQueriesContext(connection) as queries:
        overview()
    statements = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert statements
    assert not [sql for sql in statements if f"IN ({int(Status.SENT)}" in sql or f", {int(Status.SENT)}" in sql]
    assert Status.SENT not in overview_module.COUNTED


def test_reasons_are_the_same_for_the_same_trouble():
    assert words(550, "5.1.1", "550 5.1.1 <a@x.org>: no such user") == words(
        550, "5.1.1", "550 5.1.1 <b@x.org>: no such user"
    )
    assert words(None, "", "") == "no reply"


def test_chart_draws_itself_and_needs_nothing(queued):
    queued(status=Status.SENT)
    drawing = chart(overview().minutes)
    assert "http" not in drawing
    assert 'class="sent"' in drawing
    assert "NaN" not in drawing
    assert 'class="sent"' not in chart([])


@pytest.mark.parametrize("rows", [0, 3])
def test_number_of_queries_does_not_grow(queued, rows, django_assert_max_num_queries):
    for _ in range(rows):
        queued()
    with django_assert_max_num_queries(14):
        overview()


def test_everything_counts_by_source(queued):
    queued(source="a")
    queued(source="b", status=Status.HELD)
    Message.objects.filter(source="a").update(status=Status.CANCELED)
    assert {depth.source: depth.counts for depth in overview().depths} == {"a": {7: 1}, "b": {6: 1}}
