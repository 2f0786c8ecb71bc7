"""What one drain holds: messages in hand, verdicts not yet recorded, messages to give back."""

from __future__ import annotations

import time
from typing import Dict, List, Optional

from email_relay.relay.leases import Lease, Leased
from email_relay.relay.outcomes import Verdict

FLUSH_ROWS = 100
FLUSH_SECONDS = 0.02
"""A killed relay can double what is sent and not yet recorded: the window is small (P2)."""


class Hand:
    """Every claimed message is in exactly one of three places until it is recorded or given back."""

    def __init__(self) -> None:
        self.out: Dict[int, Leased] = {}
        self.verdicts: List[Verdict] = []
        self.returns: List[Leased] = []
        self._oldest: Optional[float] = None

    def __len__(self) -> int:
        return len(self.out)

    def empty(self) -> bool:
        return not (self.out or self.verdicts or self.returns)

    def judged(self, verdict: Verdict) -> None:
        if self._oldest is None:
            self._oldest = time.monotonic()
        self.verdicts.append(verdict)

    def returned(self, key: int) -> None:
        message = self.out.pop(key, None)
        if message is not None and not message.lease.over():
            self.returns.append(message)

    def flush_due(self) -> bool:
        if not self.verdicts or self._oldest is None:
            return False
        return len(self.verdicts) >= FLUSH_ROWS or not self.out or time.monotonic() - self._oldest >= FLUSH_SECONDS

    def flushed(self) -> None:
        self.verdicts, self._oldest = [], None

    def abandon(self) -> None:
        """Let go of all that is left: nothing more is begun or recorded here, and it goes back when its leases end."""
        for lease in self.leases():
            lease.give_up()
        self.out, self.returns = {}, []
        self.flushed()

    def leases(self) -> List[Lease]:
        """The leases under which something is still held."""
        held = [*self.out.values(), *self.returns, *(verdict.message for verdict in self.verdicts)]
        return list({message.lease.token: message.lease for message in held}.values())
