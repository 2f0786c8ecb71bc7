"""How many sessions one drain may open, where ``SMTP_MAX_SESSIONS_TOTAL`` bounds those of all relays together.

What a relay may open stands in its row of the workers' table, and counts as long as the relay is seen: a drain renews it as
it renews its leases, and at its end hangs up before it lets go.
"""

from __future__ import annotations

import logging
import time

from django.db import DatabaseError, InterfaceError

from email_relay.relay import workers
from email_relay.relay.engine import Engine
from email_relay.relay.throttle import interval

logger = logging.getLogger("email_relay.relay")


class Allowance:
    """One drain's share. Without a bound it costs nothing."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.total = engine.settings.SMTP_MAX_SESSIONS_TOTAL
        # a throttled drain may wait for a slot without a word
        self.hold = max(float(engine.settings.LEASE_SECONDS), 2 * interval(engine.settings))
        self._renewed = 0.0

    def take(self) -> bool:
        """False: other relays use all there are."""
        granted = wanted = self.engine.settings.SMTP_MAX_SESSIONS
        if self.total is not None:
            self._renewed = time.monotonic()
            granted = workers.reserve_sessions(
                self.engine.alias,
                self.engine.worker,
                self.engine.server,
                wanted=wanted,
                total=self.total,
                seconds=self.hold,
            )
        if granted:
            self.engine.dispatcher.most = granted
        return granted > 0

    def keep(self) -> None:
        """Be seen, so that others go on counting this share."""
        if self.total is not None and time.monotonic() >= self._renewed + self.hold / 3:
            self._renewed = time.monotonic()
            workers.busy(self.engine.alias, self.engine.worker)

    def give_up(self) -> None:
        """Sessions would linger for the next drain, and others open theirs meanwhile."""
        if self.total is None:
            return
        self.engine.dispatcher.close()
        try:
            workers.release_sessions(self.engine.alias, self.engine.worker)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("sessions are free only when this relay is not seen any more (%s)", type(error).__name__)
