"""When a relay may call itself idle: the trigger then notifies it of each insert, and it must look once more first."""

from __future__ import annotations

import time

from email_relay.relay import workers
from email_relay.relay.drain import CIRCUIT_OPEN
from email_relay.relay.engine import Engine
from email_relay.relay.report import DrainReport
from email_relay.relay.wakeup import name_older_transactions

LEAST_SECONDS = 600.0
LEAST_PAUSES = 3
"""Idleness is declared for so long, and renewed when a pause is left of it. The relay counts as seen by it, too."""


class Idleness:
    """One process's declaration, kept in memory so that an idle poll writes nothing."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._until = float("-inf")

    def declare(self, report: DrainReport) -> bool:
        """True: just declared, so poll once more; what came in between notified nobody."""
        sleep = float(self.engine.settings.EMPTY_QUEUE_SLEEP)
        if report.more or report.reason in (CIRCUIT_OPEN, "stopped"):
            return False
        if not report.total and time.monotonic() < self._until - sleep:
            return False
        seconds = max(LEAST_SECONDS, LEAST_PAUSES * sleep)
        workers.idle(self.engine.alias, self.engine.worker, seconds)
        name_older_transactions(self.engine.alias)
        self._until = time.monotonic() + seconds
        return True

    def forget(self) -> None:
        """The database may have lost the declaration."""
        self._until = float("-inf")
