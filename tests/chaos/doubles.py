"""Which fault of a soak doubled which mail: by what was in hand as it struck, and by when the copies came."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Iterable, Sequence

from tests.chaos.tally import Cost

ON_THE_WAY = 1.0
"""Seconds in which the server may still take what was on its way to it when the fault was over."""


@dataclass(frozen=True)
class Copy:
    """A recipient was served, and again."""

    to: str
    first: float
    again: float


@dataclass
class Arrivals:
    """Who was served, when last; and whoever was served before. Safe to be told of by many threads."""

    latest: dict[str, float] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)

    def note(self, to: str, now: float) -> None:
        before = self.latest.get(to)
        self.latest[to] = now
        if before is not None:
            self.copies.append(Copy(to, before, now))

    def __len__(self) -> int:
        return len(self.latest)


@dataclass(frozen=True)
class Strike:
    """One fault, from when to when, and what it may double."""

    harm: str
    began: float
    ended: float
    cost: Cost

    def explains(self, copy: Copy) -> bool:
        """It was in hand, was sent no later than the fault, and sent again no earlier."""
        in_time = copy.first <= self.ended + ON_THE_WAY and copy.again >= self.began
        return in_time and copy.to in self.cost.recipients


@dataclass(frozen=True)
class Account:
    """Every copy is charged to the strike that made it, or is astray."""

    strikes: Sequence[Strike]
    made: dict[Strike, list[Copy]]
    astray: list[Copy]

    @classmethod
    def of(cls, copies: Iterable[Copy], strikes: Sequence[Strike]) -> Account:
        made: dict[Strike, list[Copy]] = defaultdict(list)
        astray = []
        for copy in copies:
            strike = next((strike for strike in reversed(strikes) if strike.explains(copy)), None)
            (astray if strike is None else made[strike]).append(copy)
        return cls(strikes, dict(made), astray)

    @property
    def excess(self) -> list[Strike]:
        """Those that doubled more than P2 lets them."""
        return [strike for strike, copies in self.made.items() if len(copies) > strike.cost.allowed]

    def by_harm(self) -> dict[str, dict[str, Any]]:
        """For the documentation: of each kind of fault, how often it struck, what it doubled and what it might have."""
        return {harm: self._row(harm) for harm in sorted({strike.harm for strike in self.strikes})}

    def _row(self, harm: str) -> dict[str, Any]:
        strikes = [strike for strike in self.strikes if strike.harm == harm]
        doubled = [len(self.made.get(strike, ())) for strike in strikes]
        allowed = sum(strike.cost.allowed for strike in strikes)
        return {"times": len(strikes), "doubled": sum(doubled), "most": max(doubled), "allowed": allowed}

    def __str__(self) -> str:
        charged = [self._charged(strike, copies) for strike, copies in self.made.items()]
        return "\n".join([*charged, *map(self._unexplained, self.astray)])

    @staticmethod
    def _charged(strike: Strike, copies: Sequence[Copy]) -> str:
        again = [copy.again for copy in copies]
        over = "" if len(copies) <= strike.cost.allowed else "  MORE THAN P2 ALLOWS"
        return (
            f"{strike.began:6.0f} to {strike.ended:.0f} s  {strike.harm} doubled {len(copies)} of at most "
            f"{strike.cost.allowed}; the copies came at {min(again):.0f} to {max(again):.0f} s{over}"
        )

    def _unexplained(self, copy: Copy) -> str:
        before = [strike for strike in self.strikes if strike.began <= copy.again]
        last = (
            f"the last fault before was {before[-1].harm} at {before[-1].began:.0f} s" if before else "no fault before"
        )
        return f"ASTRAY: {copy.to} at {copy.first:.1f} s and again at {copy.again:.1f} s; {last}"
