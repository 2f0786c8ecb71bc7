"""The pauses of an open circuit (P6)."""

from __future__ import annotations

from email_relay.relay.breaker import pause


def test_p6_pauses_grow_to_a_cap():
    pauses = [pause(failures, lambda: 0.5).total_seconds() for failures in range(9)]
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]
