"""The loop of ``runrelay``: drain, heartbeat, purge, wait to be woken; without Celery."""

from __future__ import annotations

import logging
import threading
import time
from typing import Optional

from django.db import DatabaseError, InterfaceError, connections

from email_relay.relay import circuit, heartbeat, retention, workers
from email_relay.relay.drain import CIRCUIT_OPEN, drain
from email_relay.relay.engine import Engine, build
from email_relay.relay.heartbeat import Pacemaker
from email_relay.relay.idling import Idleness
from email_relay.relay.report import DrainReport
from email_relay.relay.wakeup import Listener

logger = logging.getLogger("email_relay.relay")

PURGE_SECONDS = 300.0
LONGEST_TROUBLE_SECONDS = 60.0


class Runner:
    """One relay process. `stop` may be called from a signal handler."""

    def __init__(self, engine: Optional[Engine] = None) -> None:
        self.engine = engine or build()
        self.stopping = threading.Event()
        self.woken = threading.Event()
        self._purged_at = float("-inf")
        self.idleness = Idleness(self.engine)
        self._troubles = 0

    def stop(self) -> None:
        self.stopping.set()
        self.woken.set()

    def once(self) -> DrainReport:
        """Drain what is due, heartbeat, purge; for cron. Raises the database's errors."""
        try:
            report = drain(self.stopping, engine=self.engine)
            heartbeat.beat(self.engine.alias, self.engine.worker, self.engine.settings)
            self._purge_by_the_clock()
        finally:
            self.engine.close()
        return report

    def run(self) -> None:
        """Until `stop`: nothing but a misconfiguration ends it."""
        listener = Listener(self.engine.alias, self.woken.set)
        listener.start()
        facts = {"worker": self.engine.worker, "server": self.engine.server}
        logger.info("relay started worker=%(worker)s server=%(server)s", facts)
        try:
            with Pacemaker(self.engine.alias, self.engine.worker, self.engine.settings):
                while not self.stopping.is_set():
                    self._turn()
        finally:
            listener.stop()
            self._leave()
        logger.info("relay stopped worker=%(worker)s", facts)

    def _turn(self) -> None:
        self.woken.clear()
        try:
            pause = self._rest(drain(self.stopping, engine=self.engine))
            self._purge_by_the_clock()
            self._troubles = 0
        except (DatabaseError, InterfaceError) as error:
            pause = self._trouble(error)
        # with EMAIL_MAX_BATCH a notification does not jump the pause
        paced = self.engine.settings.EMAIL_MAX_BATCH is not None
        if self.stopping.is_set():
            return
        (self.stopping if paced else self.woken).wait(pause)

    def _rest(self, report: DrainReport) -> float:
        """Seconds until the next drain, unless a notification cuts them short."""
        if self.stopping.is_set() or self.idleness.declare(report):
            return 0.0
        sleep = float(self.engine.settings.EMPTY_QUEUE_SLEEP)
        if report.reason == CIRCUIT_OPEN:
            probe = circuit.seconds_to_probe(self.engine.alias, self.engine.server)
            return min(sleep, probe) if probe is not None else 0.0
        return sleep

    def _purge_by_the_clock(self) -> None:
        if time.monotonic() - self._purged_at >= PURGE_SECONDS:
            retention.purge(self.engine.alias, self.engine.settings)
            self._purged_at = time.monotonic()

    def _trouble(self, error: Exception) -> float:
        self._troubles += 1
        pause = min(2.0**self._troubles / 2, LONGEST_TROUBLE_SECONDS, float(self.engine.settings.EMPTY_QUEUE_SLEEP))
        logger.error("relay database trouble (%s), next try in %.0fs", type(error).__name__, pause)
        connections[self.engine.alias].close()
        self.idleness.forget()
        return pause

    def _leave(self) -> None:
        self.engine.close()
        try:
            workers.gone(self.engine.alias, self.engine.worker)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("could not sign off (%s)", type(error).__name__)
