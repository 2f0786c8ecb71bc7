"""What became of a message, for who sent it. Reads columns of state only, never a body."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, Optional

from email_relay.db import relay_alias
from email_relay.models import Message, Status

COLUMNS = ("status", "retry_count", "log", "created_at", "sent_at", "due_at", "refused", "queue_id")


@dataclass(frozen=True)
class DeliveryStatus:
    """Where a message stands.

    ``reply`` is the server's last word or the reason of a failure; ``refused`` maps each recipient refused for good to the
    server's words; ``next_attempt_at`` is set while the message waits; ``queue_id`` is the server's own name for it.
    """

    status: Status
    created_at: datetime
    retry_count: int = 0
    reply: str = ""
    next_attempt_at: Optional[datetime] = None
    sent_at: Optional[datetime] = None
    refused: Dict[str, str] = field(default_factory=dict)
    queue_id: str = ""

    @property
    def state(self) -> str:
        """``queued``, ``deferred``, ``sending``, ``sent``, ``failed``, ``held`` or ``canceled``."""
        return self.status.name.lower()


def status(source: str, message_id: str) -> Optional[DeliveryStatus]:
    """What became of a message; its ``relay_handle`` is (source, message_id).

    None: it is not queued yet (``ENQUEUE_ON_COMMIT``), was rolled back, or has been purged. The latest of several.
    """
    rows = Message.objects.using(relay_alias()).filter(source=source, message_id=message_id)
    row = rows.order_by("-id").values(*COLUMNS).first()
    return None if row is None else _status(row)


def _status(row: Dict[str, Any]) -> DeliveryStatus:
    state = Status(row["status"])
    waits = state in (Status.QUEUED, Status.DEFERRED)
    return DeliveryStatus(
        status=state,
        created_at=row["created_at"],
        retry_count=row["retry_count"],
        reply=row["log"],
        next_attempt_at=row["due_at"] if waits else None,
        sent_at=row["sent_at"],
        refused=row["refused"] or {},
        queue_id=row["queue_id"],
    )
