"""The heartbeat: a dead man's switch is pinged while the relay can do its job, at most once per pause over all relays.

While it cannot, the ping is withheld, or goes to ``RELAY_HEALTHCHECK_FAILURE_URL``. A ping that fails or hangs is logged and
never stops the mail. With style "healthchecks.io" the failure URL is ``<url>/fail`` and the body carries a summary.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Dict, Optional

from django.db import DatabaseError, InterfaceError, connections
from django.db.models import Q

from email_relay import __version__
from email_relay.conf import RelaySettings, Timeout, relay_settings
from email_relay.db import database_now, relay_alias
from email_relay.exceptions import ConfigurationError
from email_relay.models import Worker
from email_relay.relay import observers, workers
from email_relay.relay.health import Health, assess, waiting_by_status

logger = logging.getLogger("email_relay.relay")

HEALTHCHECKS = "healthchecks.io"
HEALTHCHECKS_LEAST_SECONDS = 12
"""More than five pings a minute may be dropped there (healthchecks.io, rate limiting)."""


@dataclass(frozen=True)
class BeatReport:
    """What became of one heartbeat. ``result``: "sent", "failure sent", "withheld", "too soon", "off" or "failed"."""

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
    health = assess(alias, max_age=settings.RELAY_HEALTHCHECK_MAX_AGE)
    if not health.trouble.startswith("The relay database") and not _first(alias, worker, _pause(settings)):
        return BeatReport("too soon")
    report = _ping(settings, health, alias)
    observers.tell(lambda observer: observer.beat(report.result))
    if health.well:
        Worker.objects.using(alias).filter(name=worker).update(
            heartbeat_result=f"{report.result} {report.detail}"[:255]
        )
    return report


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


def _first(alias: str, worker: str, pause: float) -> bool:
    """Take the turn to ping: nobody has within the pause."""
    now = database_now(alias)
    # a little slack, or two timers of the same pause would skip every other beat
    if Worker.objects.using(alias).filter(heartbeat_at__gt=now - timedelta(seconds=0.9 * pause)).exists():
        return False
    stale = Q(heartbeat_at__isnull=True) | Q(heartbeat_at__lte=now - timedelta(seconds=0.9 * pause))
    if not Worker.objects.using(alias).filter(name=worker).exists():
        workers._write(alias, worker)  # noqa: SLF001 - the same room's record
    return Worker.objects.using(alias).filter(stale, name=worker).update(heartbeat_at=now) > 0


def _ping(settings: RelaySettings, health: Health, alias: str) -> BeatReport:
    url = settings.RELAY_HEALTHCHECK_URL if health.well else _failure_url(settings)
    if url is None:
        logger.warning("heartbeat withheld: %s", health.trouble)
        return BeatReport("withheld", health.trouble)
    try:
        status = _request(settings, url, _body(settings, health, alias))
    except ConfigurationError as error:
        logger.error("heartbeat impossible: %s", error)  # noqa: TRY400 - the text says what to do
        return BeatReport("failed", "httpx is not installed")
    except Exception as error:  # noqa: BLE001 - whatever the HTTP client raises, mail goes on
        logger.warning("heartbeat failed: %s", type(error).__name__)
        return BeatReport("failed", type(error).__name__)
    expected = settings.RELAY_HEALTHCHECK_STATUS_CODE
    if status != expected and not (status == 201 and settings.RELAY_HEALTHCHECK_STYLE == HEALTHCHECKS):  # noqa: PLR2004
        logger.warning("heartbeat answered with status %s instead of %s", status, expected)
        return BeatReport("failed", f"status {status}")
    return BeatReport("sent" if health.well else "failure sent", "" if health.well else health.trouble)


def _failure_url(settings: RelaySettings) -> str | None:
    if settings.RELAY_HEALTHCHECK_FAILURE_URL:
        return settings.RELAY_HEALTHCHECK_FAILURE_URL
    if settings.RELAY_HEALTHCHECK_STYLE == HEALTHCHECKS and settings.RELAY_HEALTHCHECK_URL:
        return settings.RELAY_HEALTHCHECK_URL.rstrip("/") + "/fail"
    return None


def _body(settings: RelaySettings, health: Health, alias: str) -> str | None:
    if settings.RELAY_HEALTHCHECK_STYLE != HEALTHCHECKS:
        return None
    if not health.well:
        return health.trouble
    return " ".join(f"{state}={count}" for state, count in waiting_by_status(alias).items())


def _request(settings: RelaySettings, url: str, body: str | None) -> int:
    try:
        import httpx
    except ImportError as error:
        raise ConfigurationError(
            "RELAY_HEALTHCHECK_URL is set but httpx is not installed: pip install 'django-email-relay[hc]'."
        ) from error
    method = "POST" if body is not None else settings.RELAY_HEALTHCHECK_METHOD
    with httpx.Client(timeout=_timeout(settings.RELAY_HEALTHCHECK_TIMEOUT), follow_redirects=True) as client:
        answer = client.request(method, url, content=body, headers={"User-Agent": f"django-email-relay/{__version__}"})
    return int(answer.status_code)


def _timeout(value: Timeout) -> Any:
    """A number, or the pair (connect, read) of the requests library."""
    import httpx

    if isinstance(value, tuple):
        connect, read = value
        return httpx.Timeout(read, connect=connect)
    return httpx.Timeout(value)
