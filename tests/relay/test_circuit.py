"""The circuit in the server's row, which all relays share (P6)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from email_relay.models import Server
from email_relay.relay import breaker, circuit
from tests.relay.rows import ALIAS, SERVER, ago

pytestmark = pytest.mark.django_db


def trip(reason: str = "refused") -> Server:
    circuit.trip(ALIAS, SERVER, reason, lambda: 0.5)
    return Server.objects.get()


def test_p6_an_outage_begins_once_and_each_failure_lengthens_the_pause():
    first, second = trip(), trip()
    assert (first.failures, second.failures) == (1, 2)
    assert first.opened_at == second.opened_at
    assert second.probe_at - first.probe_at > timedelta(seconds=4)


def test_p6_failures_that_two_relays_report_at_once_both_count():
    with CaptureQueriesContext(connection) as queries:
        trip()
    if connection.features.has_select_for_update:
        assert any("FOR UPDATE" in query["sql"] for query in queries)


def test_p6_the_probe_is_taken_by_one_and_only_once_it_is_due():
    trip()
    assert not circuit.take_probe(ALIAS, SERVER, 120)
    Server.objects.update(probe_at=ago(1))
    assert [circuit.take_probe(ALIAS, SERVER, 120) for _ in range(2)] == [True, False]
    left = Server.objects.get().probe_at - ago(0)
    assert timedelta() < left <= breaker.PROBE_TIME, "a prober that dies holds nobody up for ever"


def test_p6_a_closed_circuit_has_no_probe():
    assert circuit.seconds_to_probe(ALIAS, SERVER) is None
    assert not circuit.take_probe(ALIAS, SERVER, 120)
    trip()
    assert 3 < circuit.seconds_to_probe(ALIAS, SERVER) <= 5
    Server.objects.update(probe_at=ago(1))
    assert circuit.seconds_to_probe(ALIAS, SERVER) == 0
    circuit.close(ALIAS, SERVER)
    assert circuit.seconds_to_probe(ALIAS, SERVER) is None


def test_p6_outages_are_remembered_up_to_a_number():
    for _ in range(circuit.OUTAGES_KEPT + 1):
        opened = trip()
        assert opened.failures == 1, "a new outage counts anew"
        circuit.close(ALIAS, SERVER)
    outages = circuit.outages(ALIAS, SERVER)
    assert len(outages) == circuit.OUTAGES_KEPT
    assert outages[-1][0] == opened.opened_at, "the latest come last"
    circuit.close(ALIAS, SERVER)
    assert circuit.outages(ALIAS, SERVER) == outages, "a circuit that is closed has no outage to end"


def test_a_long_reply_of_the_server_is_kept_short():
    assert len(trip("no " * 1000).last_error) == circuit.ERROR_LENGTH
