"""What one drain holds: messages in hand, verdicts not yet recorded, messages to give back."""

from __future__ import annotations

import time
from typing import Dict, Iterable, List, Optional, Set

from email_relay.relay.dispatch import Job
from email_relay.relay.gate import Passage
from email_relay.relay.leases import Lease, Leased
from email_relay.relay.outcomes import Verdict
from email_relay.relay.transport.base import Parcel

FLUSH_ROWS = 32
LOOK_SECONDS = 0.25
FLUSH_SECONDS = 0.02
"""A killed relay can double what is sent and not yet recorded: the window is small (P2)."""


class Hand:
    """Every claimed message is in exactly one of three places until it is recorded or given back."""

    def __init__(self) -> None:
        self.out: Dict[int, Passage] = {}
        self.verdicts: List[Verdict] = []
        self.returns: List[Leased] = []
        self._oldest: Optional[float] = None
        self._look_again_at = 0.0

    def __len__(self) -> int:
        return len(self.out)

    def size(self) -> int:
        """Bytes of the messages that are out."""
        return sum(passage.message.size for passage in self.out.values())

    def source(self, job: Job) -> str:
        """Whose message a job that is out delivers; "" for one of an earlier claim, which is nobody's any more."""
        passage = self.out.get(job.parcel.key)
        return passage.message.source if passage else ""

    def sources(self) -> Set[str]:
        """Those that have something out."""
        return {passage.message.source for passage in self.out.values()}

    def empty(self) -> bool:
        return not (self.out or self.verdicts or self.returns)

    def judged(self, verdict: Verdict) -> None:
        if self._oldest is None:
            self._oldest = time.monotonic()
        self.verdicts.append(verdict)

    def take(self, passages: Iterable[Passage]) -> None:
        self.out.update((passage.message.id, passage) for passage in passages)

    def back(self, parcel: Parcel) -> Optional[Leased]:
        """The message of this very parcel, out no more. None if it belongs to an earlier claim: that is nobody's any more."""
        passage = self.out.get(parcel.key)
        if passage is None or passage.job.parcel is not parcel:
            return None
        return self.out.pop(parcel.key).message

    def returned(self, parcel: Parcel) -> None:
        message = self.back(parcel)
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

    def aging(self) -> List[Lease]:
        """The leases to renew; looked for now and then, for it takes a look at everything."""
        if time.monotonic() < self._look_again_at:
            return []
        self._look_again_at = time.monotonic() + LOOK_SECONDS
        return [lease for lease in self.leases() if lease.aging()]

    def leases(self) -> List[Lease]:
        """The leases under which something is still held."""
        out = (passage.message for passage in self.out.values())
        held = [*out, *self.returns, *(verdict.message for verdict in self.verdicts)]
        return list({message.lease.token: message.lease for message in held}.values())
