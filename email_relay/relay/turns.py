"""Pure: which sources a claim passes by, and which give it a single message, because they have a rate of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple


@dataclass(frozen=True)
class Turns:
    """``listed`` are the paced sources if ``listed_are_paced``; otherwise all but they are."""

    closed: Tuple[str, ...] = ()
    listed: Tuple[str, ...] = ()
    listed_are_paced: bool = True

    def most(self, source: str, rows: int) -> int:
        """How many of ``rows`` this source may give."""
        if source in self.closed:
            return 0
        return min(1, rows) if (source in self.listed) == self.listed_are_paced else rows


ALL = Turns()
"""No source has a rate."""
