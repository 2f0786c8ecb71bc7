"""Pure policy of the circuit that guards a server in trouble (P6).

closed: mail flows. open: nobody connects before ``probe_at``. half-open: one relay tries with few messages, and until
``probe_at`` the others leave it alone; so a prober that dies holds nobody up for ever. The first failure opens; the
pauses grow from 5 s to 300 s. The clock and randomness are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Optional

from email_relay.relay.retry import Random, RetryPolicy

PAUSES = RetryPolicy(base=timedelta(seconds=5), cap=timedelta(seconds=300), jitter=0.2, lifetime=None)
PROBE_TIME = timedelta(seconds=120)
"""How long a probe may take before another relay makes its own."""


class State(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True)
class Circuit:
    """What is known of a server: ``failures`` in a row, since when it is away, when it may be tried again."""

    state: State = State.CLOSED
    failures: int = 0
    opened_at: Optional[datetime] = None
    probe_at: Optional[datetime] = None


def trip(circuit: Circuit, now: datetime, random: Random) -> Circuit:
    """After a failure: open, with a longer pause each time. ``opened_at`` stays that of the outage's beginning."""
    pause = PAUSES.next_pause(circuit.failures, random)
    return Circuit(State.OPEN, circuit.failures + 1, circuit.opened_at or now, now + pause)


def probing(circuit: Circuit, now: datetime) -> Circuit:
    """After someone took the probe upon himself."""
    return replace(circuit, state=State.HALF_OPEN, probe_at=now + PROBE_TIME)


def closed(circuit: Circuit) -> Circuit:
    """After a success: all is forgotten."""
    return Circuit()


def may_connect(circuit: Circuit) -> bool:
    """Whether mail may flow freely."""
    return circuit.state is State.CLOSED


def may_probe(circuit: Circuit, now: datetime) -> bool:
    """Whether it is time to try: always when closed; else once ``probe_at`` has come."""
    return circuit.state is State.CLOSED or circuit.probe_at is None or circuit.probe_at <= now
