"""Every write to the queue that is not the relay's, and the sender's question what became of a message."""

from __future__ import annotations

from email_relay.submission import RelayHandle, enqueue

__all__ = ["RelayHandle", "enqueue"]
