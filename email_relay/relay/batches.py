"""The pause between two drains under ``EMAIL_MAX_BATCH``, kept in the server's row: one such drain at a time over all relays.

While it runs it holds the turn like a lease, so that a relay that dies keeps the others waiting no longer than that.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.db.models import Q

from email_relay.conf import RelaySettings
from email_relay.db import DatabaseNow, database_now
from email_relay.models import Server
from email_relay.relay.throttle import interval


class BatchTurn:
    """One drain's turn. Without a limit every drain has it, and nothing is written."""

    def __init__(self, alias: str, server: str, settings: RelaySettings) -> None:
        self.alias, self.server = alias, server
        self.bounded = settings.EMAIL_MAX_BATCH is not None
        self.pause = float(settings.EMPTY_QUEUE_SLEEP)
        # a throttled drain may wait for a slot without a word
        self.hold = max(float(settings.LEASE_SECONDS), 2 * interval(settings))
        self._held_at = float("-inf")

    def begin(self) -> bool:
        """False while another bounded drain runs, and for the pause after it."""
        if not self.bounded:
            return True
        Server.objects.using(self.alias).get_or_create(name=self.server)
        free = Q(next_batch_at__isnull=True) | Q(next_batch_at__lte=DatabaseNow())
        return self._set(self.hold, free)

    def keep(self) -> None:
        """Hold the turn for longer when a third of the time is gone."""
        if self.bounded and time.monotonic() >= self._held_at + self.hold / 3:
            self._set(self.hold)

    def end(self, *, tried: bool) -> None:
        """The next turn begins a pause later, or at once if no message was tried."""
        if self.bounded:
            self._set(self.pause if tried else None)

    def _set(self, seconds: float | None, *conditions: Q) -> bool:
        self._held_at = time.monotonic()
        row = Server.objects.using(self.alias).filter(*conditions, name=self.server)
        until = None if seconds is None else database_now(self.alias) + timedelta(seconds=seconds)
        return row.update(next_batch_at=until) > 0
