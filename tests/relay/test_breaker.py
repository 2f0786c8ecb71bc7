"""The pauses of an open circuit (P6)."""

from __future__ import annotations

from email_relay.relay.breaker import pause, probe_time


def test_p6_pauses_grow_to_a_cap():
    pauses = [pause(failures, lambda: 0.5).total_seconds() for failures in range(9)]
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_p6_a_prober_that_died_holds_up_the_others_no_longer_than_a_lease_and_two_minutes():
    assert [probe_time(lease).total_seconds() for lease in (10, 120, 3600)] == [10, 120, 120]
