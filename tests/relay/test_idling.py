"""An idle relay costs a poll, and a poll costs one query."""

from __future__ import annotations

import pytest
from django.db import connection

from email_relay.models import Worker
from email_relay.relay.drain import drain
from email_relay.relay.idling import Idleness
from tests.relay.rows import ago, queued

pytestmark = pytest.mark.django_db


def test_an_idle_poll_is_one_query(engines, django_assert_num_queries):
    if connection.vendor != "postgresql":
        pytest.skip("a claim is one statement on PostgreSQL")
    engine = engines()
    idleness = Idleness(engine)
    assert idleness.declare(drain(engine=engine))
    with django_assert_num_queries(1):
        assert not idleness.declare(drain(engine=engine))


def test_what_was_drained_makes_it_declare_itself_anew(engines):
    engine = engines()
    idleness = Idleness(engine)
    assert idleness.declare(drain(engine=engine))
    queued()
    assert idleness.declare(drain(engine=engine))
    assert not idleness.declare(drain(engine=engine))
    assert Worker.objects.get().idle_until > ago(0)


def test_it_is_renewed_before_it_ends(engines, monkeypatch):
    engine = engines(EMPTY_QUEUE_SLEEP=30)
    idleness = Idleness(engine)
    clock = [1000.0]
    monkeypatch.setattr("email_relay.relay.idling.time.monotonic", lambda: clock[0])
    assert idleness.declare(drain(engine=engine))
    left = Worker.objects.get().idle_until - ago(0)
    clock[0] += left.total_seconds() - 60
    assert not idleness.declare(drain(engine=engine))
    clock[0] += 31
    assert idleness.declare(drain(engine=engine))
