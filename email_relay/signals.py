"""What others may listen to.

``message_queued`` fires in the client (sender: the backend class) with ``source``, ``message_id``. The relay fires
``message_sent``, ``message_deferred`` and ``message_failed`` (sender: ``Message``) with ``id``, ``source``,
``message_id``, ``reply`` and, when deferred, ``due_at``. A receiver that raises is logged and harms no message.
"""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import Signal

logger = logging.getLogger(__name__)

message_queued = Signal()
message_sent = Signal()
message_deferred = Signal()
message_failed = Signal()


def announce(signal: Signal, sender: Any, **facts: Any) -> None:
    """Tell everybody who listens; who fails is logged and stops nothing."""
    for receiver, result in signal.send_robust(sender=sender, **facts):
        if isinstance(result, Exception):
            logger.error("%r failed on a signal: %s", receiver, type(result).__name__)
