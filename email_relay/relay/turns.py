"""Pure: whose turn it is. Which sources a claim passes by or asks for one message only, and who goes out next of those in hand."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Callable, Dict, Iterable, List, Tuple, TypeVar

Item = TypeVar("Item")


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


def in_turns(items: Iterable[Item], source: Callable[[Item], str]) -> List[Item]:
    """One of each source, then a second of each, and so on; within a source the order stays (P7)."""
    by_source: Dict[str, List[Item]] = {}
    for item in items:
        by_source.setdefault(source(item), []).append(item)
    rounds = zip_longest(*by_source.values(), fillvalue=None)
    return [item for item in chain.from_iterable(rounds) if item is not None]
