"""The circuit's transitions (P6)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from email_relay.relay.breaker import Circuit, State, closed, may_connect, may_probe, probing, trip

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def middle():
    return 0.5


def test_p6_the_first_failure_opens_and_pauses_grow_to_a_cap():
    circuit, pauses = Circuit(), []
    assert may_connect(circuit)
    for _ in range(9):
        circuit = trip(circuit, NOW, middle)
        pauses.append((circuit.probe_at - NOW).total_seconds())
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert (circuit.state, circuit.failures, circuit.opened_at) == (State.OPEN, 9, NOW)


def test_p6_probed_when_the_pause_is_over_by_one():
    circuit = trip(Circuit(), NOW, middle)
    assert not may_connect(circuit)
    assert not may_probe(circuit, NOW)
    later = NOW + timedelta(seconds=5)
    assert may_probe(circuit, later)
    taken = probing(circuit, later)
    assert taken.state is State.HALF_OPEN
    assert not may_probe(taken, later)
    assert may_probe(taken, later + timedelta(minutes=5))


def test_p6_an_outage_begins_once_and_ends_with_a_success():
    circuit = trip(trip(Circuit(), NOW, middle), NOW + timedelta(seconds=9), middle)
    assert circuit.opened_at == NOW
    assert closed(circuit) == Circuit()
