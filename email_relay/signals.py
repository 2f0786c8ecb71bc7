"""What others may listen to.

``message_queued`` fires in the client (sender: the backend class) with ``source``, ``message_id``. The relay fires
``message_sent``, ``message_deferred`` and ``message_failed`` (sender: ``Message``) with ``id``, ``source``,
``message_id``, ``reply`` and, when deferred, ``due_at``. A receiver that raises is logged and harms no message.
"""

from __future__ import annotations

from django.dispatch import Signal

message_queued = Signal()
message_sent = Signal()
message_deferred = Signal()
message_failed = Signal()
