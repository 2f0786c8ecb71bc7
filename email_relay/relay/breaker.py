"""Pure policy of the circuit that guards a server in trouble (P6): how long it stays open. `circuit` keeps its state.

The first failure opens it; the pauses grow from 5 s to 300 s. After each of them one relay tries the server, and for
as long as a lease, ``PROBE_TIME`` at most, the others leave it alone; so a prober that dies holds nobody up for ever.
"""

from __future__ import annotations

from datetime import timedelta

from email_relay.relay.retry import Random, RetryPolicy

PAUSES = RetryPolicy(base=timedelta(seconds=5), cap=timedelta(seconds=300), jitter=0.2, lifetime=None)
PROBE_TIME = timedelta(seconds=120)
"""The longest a probe may take before another relay makes its own."""


def pause(failures: int, random: Random) -> timedelta:
    """Until the next probe, after so many failures before this one."""
    return PAUSES.next_pause(failures, random)


def probe_time(lease_seconds: float) -> timedelta:
    """A prober that died holds up the others no longer than its mail does."""
    return min(PROBE_TIME, timedelta(seconds=lease_seconds))
