"""Pure policy: how long a deferred message rests, and when it has been tried enough.

RFC 5321 section 4.5.4.1 wants soon retries at first, later ones at least 30 minutes apart, and 4–5 days in all. The
defaults follow it: 60 s doubling to one hour, five days. Randomness is handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Callable, Optional

Random = Callable[[], float]
"""Gives a float in [0, 1), as ``random.random`` does."""


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with jitter.

    ``base`` is the pause after the first deferral, ``factor`` its growth, ``cap`` the longest pause; ``jitter`` is the
    share by which each pause is drawn shorter or longer, never beyond ``cap``. ``max_retries`` None means as many as the
    ``lifetime`` holds, and ``lifetime`` None means for ever.
    """

    base: timedelta = timedelta(seconds=60)
    factor: float = 2.0
    cap: timedelta = timedelta(hours=1)
    jitter: float = 0.1
    max_retries: Optional[int] = None
    lifetime: Optional[timedelta] = timedelta(days=5)

    def __post_init__(self) -> None:
        if self.base <= timedelta(0) or self.cap < timedelta(0):
            raise ValueError("base and cap must be longer than nothing")
        if not 1 <= self.factor < float("inf") or not 0 <= self.jitter < 1:
            raise ValueError("factor must be at least 1 and jitter within [0, 1)")

    def next_pause(self, retry_count: int, random: Random) -> timedelta:
        """The pause before the next attempt, when ``retry_count`` attempts were deferred before the one that just was."""
        mean = self._mean(max(retry_count, 0))
        drawn = mean * (1 + self.jitter * (2 * random() - 1))
        return timedelta(seconds=min(drawn, self.cap.total_seconds()))

    def _mean(self, retry_count: int) -> float:
        cap = self.cap.total_seconds()
        try:
            return min(self.base.total_seconds() * self.factor**retry_count, cap)
        except OverflowError:
            return cap

    def exhausted(self, retry_count: int, age: timedelta) -> bool:
        """Whether a message of this age, deferred ``retry_count`` times before now, gets no further attempt."""
        if self.max_retries is not None and retry_count >= self.max_retries:
            return True
        return self.lifetime is not None and age >= self.lifetime
