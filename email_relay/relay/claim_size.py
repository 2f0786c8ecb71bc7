"""Pure: how many messages a drain holds, and how many its next claim asks for. The clock comes in as an argument.

Claims are small, so that a source that comes late is found soon (P7). Where the way to the database is slow, small ones would keep
the sessions waiting: there a claim asks for all that may be held.
"""

from __future__ import annotations

CLAIM_ROWS = 32
SLOW_ROW_SECONDS = 0.0005
"""A full claim that took longer than this for each row came by a slow way."""
HELD_SECONDS = 0.05
"""What is held goes out within about this: so long the sessions have work while the database is busy."""


class ClaimSize:
    """Of one drain. ``most`` bounds what is held (P10); ``now`` is in seconds of a monotonic clock."""

    def __init__(self, most: int, now: float) -> None:
        self.most = most
        self.least = max(1, min(CLAIM_ROWS, most // 2))
        self._began = now
        self._delivered = 0
        self._row_seconds = 0.0

    def delivered(self) -> None:
        """Count one more."""
        self._delivered += 1

    def claimed(self, asked: int, brought: int, seconds: float) -> None:
        """Learn from a claim; one that is not full says nothing about the price of a row."""
        if brought >= asked > 0:
            self._row_seconds = seconds / asked

    def rows(self, held: int, sessions: int, now: float) -> int:
        """How many to ask for, ``held`` being in hand and up to ``sessions`` at work; 0: what is held lasts for now."""
        rate = self._delivered / max(now - self._began, 0.001)
        room = min(max(int(rate * HELD_SECONDS), self.least + 2 * sessions), self.most) - held
        if room < self.least:
            return 0
        return room if self._row_seconds > SLOW_ROW_SECONDS else self.least
