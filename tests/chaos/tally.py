"""What a fault may cost, what it did cost, and the table of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping, Sequence

WINDOW = 2 * 16 + 100
"""Most that one process may have unrecorded: two messages in each session, and what is answered while a settlement is written."""


@dataclass(frozen=True)
class Cost:
    """What a fault may double by P2. ``seconds``: until what was held was taken over, or until the process had ended."""

    recipients: frozenset[str] = frozenset()
    """Of the messages that were in hand when a process died, or lost its link."""
    processes: int = 0
    """How many of them died."""
    seconds: float | None = None

    @property
    def allowed(self) -> int:
        return min(len(self.recipients), WINDOW * self.processes)


@dataclass(frozen=True)
class Tally:
    """What a fault did to the mail."""

    fault: str
    sent: int
    lost: int
    doubled: int
    allowed: int
    astray: int = 0
    """Of the doubled: those that nobody who died had in hand."""
    seconds: float | None = None

    @classmethod
    def of(cls, fault: str, arrived: Counter[str], wanted: Iterable[str], cost: Cost) -> Tally:
        """*arrived*: how often each recipient was served."""
        doubled = {to for to, times in arrived.items() if times > 1}
        return cls(
            fault,
            len(arrived),
            len(set(wanted) - set(arrived)),
            sum(arrived.values()) - len(arrived),
            cost.allowed,
            len(doubled - cost.recipients),
            cost.seconds,
        )

    @property
    def well(self) -> bool:
        return not self.lost and not self.astray and self.doubled <= self.allowed


def summary(tallies: Sequence[Tally]) -> dict[str, Any]:
    """All rounds of one fault."""
    doubled = [tally.doubled for tally in tallies]
    seconds = [tally.seconds for tally in tallies if tally.seconds is not None]
    return {
        "fault": tallies[0].fault,
        "rounds": len(tallies),
        "sent": sum(tally.sent for tally in tallies),
        "lost": sum(tally.lost for tally in tallies),
        "doubled": sum(doubled),
        "mean": round(sum(doubled) / len(doubled), 1),
        "most": max(doubled),
        "allowed": sum(tally.allowed for tally in tallies),
        "seconds": round(sum(seconds) / len(seconds), 1) if seconds else None,
        "longest": round(max(seconds), 1) if seconds else None,
    }


COLUMNS = ("rounds", "sent", "lost", "doubled", "mean", "most", "allowed", "seconds", "longest")


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    lines = [f"{'fault injected':46}" + "".join(f"{column:>9}" for column in COLUMNS)]
    for row in rows:
        cells = ("" if row[column] is None else str(row[column]) for column in COLUMNS)
        lines.append(f"{row['fault']:46}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def keep_faults(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """For the documentation; what was measured of other faults before stays."""
    kept = _kept(path)
    _keep(path, {**kept, "window": WINDOW, "faults": {**kept.get("faults", {}), **{row["fault"]: row for row in rows}}})


def keep_soak(path: Path, figures: Mapping[str, Any]) -> None:
    _keep(path, {**_kept(path), "soak": figures})


def _kept(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _keep(path: Path, what: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(what, indent=1) + "\n")
