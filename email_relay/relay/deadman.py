"""How a dead man's switch is spoken to: any URL by one request, or Healthchecks.io by its conventions.

There a run begins with ``/start`` and ends with the URL itself or with ``/fail``, paired by ``rid``; the bodies tell why
(https://healthchecks.io/docs/http_api/).
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from email_relay import __version__
from email_relay.conf import RelaySettings, Timeout
from email_relay.exceptions import ConfigurationError

HEALTHCHECKS = "healthchecks.io"
CREATED = 201
"""Healthchecks.io's answer when a ping has made its check."""
ADDRESS = re.compile(r"[^\s<>\"']+@[^\s<>\"']+")


@dataclass(frozen=True)
class Run:
    """The pings of one heartbeat. Each returns the status of the answer, and raises what the HTTP client raises."""

    settings: RelaySettings
    rid: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def conventional(self) -> bool:
        return self.settings.RELAY_HEALTHCHECK_STYLE == HEALTHCHECKS

    def start(self) -> int:
        return self._ask(self._url("/start"), "")

    def success(self, summary: str) -> int:
        return self._ask(self._url(""), summary)

    def failure(self, reason: str) -> int | None:
        """None: there is nowhere to tell it."""
        own = self.settings.RELAY_HEALTHCHECK_FAILURE_URL
        if not (own or self.conventional):
            return None
        return self._ask(own or self._url("/fail"), reason)

    def accepted(self, status: int) -> bool:
        return status == self.settings.RELAY_HEALTHCHECK_STATUS_CODE or (self.conventional and status == CREATED)

    def _url(self, signal: str) -> str:
        url = self.settings.RELAY_HEALTHCHECK_URL or ""
        if not self.conventional:
            return url
        parts = urlsplit(url)
        query = urlencode([*parse_qsl(parts.query), ("rid", self.rid)])
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + signal, query=query))

    def _ask(self, url: str, words: str) -> int:
        if self.conventional:
            return request(self.settings, "POST", url, ADDRESS.sub("…@…", words))
        return request(self.settings, self.settings.RELAY_HEALTHCHECK_METHOD, url, None)


def request(settings: RelaySettings, method: str, url: str, body: str | None) -> int:
    try:
        import httpx
    except ImportError as error:
        raise ConfigurationError(
            "RELAY_HEALTHCHECK_URL is set but httpx is not installed: pip install 'django-email-relay[hc]'."
        ) from error
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
