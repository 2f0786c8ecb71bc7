"""What a drain is told, and what it tells."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional, Protocol


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

    @property
    def total(self) -> int:
        return self.sent + self.deferred + self.failed + self.held + self.returned

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
        )

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)
