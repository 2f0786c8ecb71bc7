"""The heartbeat: a dead man's switch is pinged while the relay can do its job, at most once per pause over all relays.

While it cannot, the ping is withheld, or tells so where the switch takes that. A ping that fails or hangs is logged and
never stops the mail.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Dict, Optional

from django.db import DatabaseError, InterfaceError, connections, transaction

from email_relay.conf import RelaySettings, relay_settings
from email_relay.db import database_now, relay_alias
from email_relay.exceptions import ConfigurationError
from email_relay.models import Worker
from email_relay.relay import observers, workers
from email_relay.relay.deadman import HEALTHCHECKS, Run
from email_relay.relay.health import Health, assess, summary

logger = logging.getLogger("email_relay.relay")

HEALTHCHECKS_LEAST_SECONDS = 30
"""More than five pings a minute may be dropped there, and a heartbeat is two: ``/start`` and how it ended."""
SLACK = 0.9
"""Or two timers of the same pause would skip every other beat."""
PATIENCE_SECONDS = 1.0


@dataclass(frozen=True)
class BeatReport:
    """What became of one heartbeat. ``result``: "sent", "failure sent", "withheld", "too soon", "off", "failed" or "under way"."""

    result: str
    detail: str = ""

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def beat(
    alias: Optional[str] = None, worker: Optional[str] = None, settings: Optional[RelaySettings] = None
) -> BeatReport:
    """Ping, unless another relay has done so within the pause. Never raises for a ping that fails."""
    settings = settings or relay_settings()
    alias, worker = alias or relay_alias(), worker or workers.worker_name()
    if not settings.RELAY_HEALTHCHECK_URL:
        return BeatReport("off")
    if not _first(alias, worker, _pause(settings)):
        return BeatReport("too soon")
    run = Run(settings)
    _start(run)
    health = assess(alias, max_age=settings.RELAY_HEALTHCHECK_MAX_AGE)
    report = _end(run, health, alias)
    observers.tell(lambda observer: observer.beat(report.result))
    if health.well:
        Worker.objects.using(alias).filter(name=worker).update(
            heartbeat_result=f"{report.result} {report.detail}"[:255]
        )
    return report


class Aside:
    """Beats in a thread, and waits for it a little only: a ping that hangs never holds up the mail."""

    def __init__(self) -> None:
        self._thread: Optional[threading.Thread] = None
        self._report = BeatReport("under way")

    def beat(self, patience: float = PATIENCE_SECONDS) -> BeatReport:
        if self._thread is None or not self._thread.is_alive():
            self._report = BeatReport("under way")
            self._thread = threading.Thread(target=self._run, name="email-relay-heartbeat", daemon=True)
            self._thread.start()
        self._thread.join(patience)
        return self._report

    def _run(self) -> None:
        try:
            self._report = beat()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("heartbeat skipped: database trouble (%s)", type(error).__name__)
            self._report = BeatReport("failed", type(error).__name__)
        finally:
            connections[relay_alias()].close()


class Pacemaker:
    """Beats from a thread of its own, at once and then once a pause, so that a ping that hangs never holds up the mail."""

    def __init__(self, alias: str, worker: str, settings: RelaySettings, *, at_once: bool = True) -> None:
        self.alias, self.worker, self.settings, self.at_once = alias, worker, settings, at_once
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="email-relay-pacemaker", daemon=True)

    def __enter__(self) -> Pacemaker:  # noqa: PYI034 - typing.Self is not on 3.8
        if self.settings.RELAY_HEALTHCHECK_URL:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _run(self) -> None:
        wait = 0.0 if self.at_once else _pause(self.settings)
        while not self._stop.wait(wait):
            wait = _pause(self.settings)
            try:
                beat(self.alias, self.worker, self.settings)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("heartbeat skipped: database trouble (%s)", type(error).__name__)
            finally:
                connections[self.alias].close()


def _pause(settings: RelaySettings) -> float:
    least = HEALTHCHECKS_LEAST_SECONDS if settings.RELAY_HEALTHCHECK_STYLE == HEALTHCHECKS else 0
    return max(float(settings.EMPTY_QUEUE_SLEEP), least)


_tried_at: Dict[str, float] = {}


def _first(alias: str, worker: str, pause: float) -> bool:
    """Take the turn to ping: nobody has within the pause. Without the database it is this process that has not."""
    try:
        return _first_of_all(alias, worker, pause)
    except (DatabaseError, InterfaceError):
        connections[alias].close()
        now = time.monotonic()
        first = now - _tried_at.get(alias, float("-inf")) >= SLACK * pause
        if first:
            _tried_at[alias] = now
        return first


def _first_of_all(alias: str, worker: str, pause: float) -> bool:
    if not Worker.objects.using(alias).filter(name=worker).exists():
        workers._write(alias, worker)  # noqa: SLF001 - the same room's record
    with transaction.atomic(using=alias):
        # all rows are locked: of two relays that come together the later one sees what the first has done
        relays = Worker.objects.using(alias).select_for_update().order_by("name")
        beats = [beat for beat in relays.values_list("heartbeat_at", flat=True) if beat]
        now = database_now(alias)
        if beats and max(beats) > now - timedelta(seconds=SLACK * pause):
            return False
        return Worker.objects.using(alias).filter(name=worker).update(heartbeat_at=now) > 0


def _start(run: Run) -> None:
    """A relay that hangs from here on is told by the missing end."""
    if run.conventional:
        try:
            run.start()
        except Exception as error:  # noqa: BLE001 - whatever the HTTP client raises; how it ends is told all the same
            logger.debug("the start of a heartbeat was not taken: %s", type(error).__name__)


def _end(run: Run, health: Health, alias: str) -> BeatReport:
    try:
        status = run.success(summary(alias, health)) if health.well else run.failure(health.trouble)
    except ConfigurationError as error:
        logger.error("heartbeat impossible: %s", error)  # noqa: TRY400 - the text says what to do
        return BeatReport("failed", "httpx is not installed")
    except Exception as error:  # noqa: BLE001 - whatever the HTTP client raises, mail goes on
        logger.warning("heartbeat failed: %s", type(error).__name__)
        return BeatReport("failed", type(error).__name__)
    if status is None:
        logger.warning("heartbeat withheld: %s", health.trouble)
        return BeatReport("withheld", health.trouble)
    if not run.accepted(status):
        logger.warning("heartbeat answered with status %s", status)
        return BeatReport("failed", f"status {status}")
    return BeatReport("sent" if health.well else "failure sent", health.trouble)
