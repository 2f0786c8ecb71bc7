"""What a drain is told, and what it tells."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Optional, Protocol

from email_relay.models import Status
from email_relay.relay.outcomes import Verdict


class Stop(Protocol):
    """What tells a drain to end; a `threading.Event` is one."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: Optional[float] = None) -> bool: ...


@dataclass
class DrainReport:
    """Counts of one drain, never content. ``more``: it stopped at a limit, and there may be more to do."""

    sent: int = 0
    deferred: int = 0
    failed: int = 0
    held: int = 0
    returned: int = 0
    more: bool = False
    reason: str = ""
    sources: Dict[str, Dict[str, int]] = field(default_factory=dict)
    """What was recorded, by source and outcome."""

    def recorded(self, verdict: Verdict) -> None:
        counts = self.sources.setdefault(verdict.message.source, {})
        outcome = verdict.status.name.lower()
        counts[outcome] = counts.get(outcome, 0) + 1
        self.sent += verdict.status == Status.SENT
        self.failed += verdict.status == Status.FAILED
        self.held += verdict.status == Status.HELD

    @property
    def total(self) -> int:
        return self.sent + self.deferred + self.failed + self.held + self.returned

    @property
    def tried(self) -> int:
        """How many messages came to an outcome."""
        return self.total - self.returned

    def plus(self, later: DrainReport) -> DrainReport:
        """Both together; the later one says how it ended."""
        return DrainReport(
            self.sent + later.sent,
            self.deferred + later.deferred,
            self.failed + later.failed,
            self.held + later.held,
            self.returned + later.returned,
            later.more,
            later.reason,
            _sum(self.sources, later.sources),
        )

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def _sum(first: Dict[str, Dict[str, int]], second: Dict[str, Dict[str, int]]) -> Dict[str, Dict[str, int]]:
    total = {source: dict(counts) for source, counts in first.items()}
    for source, counts in second.items():
        into = total.setdefault(source, {})
        for outcome, count in counts.items():
            into[outcome] = into.get(outcome, 0) + count
    return total
