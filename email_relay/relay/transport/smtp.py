"""Our own SMTP: sessions to one server, from a configuration."""

from __future__ import annotations

from time import monotonic
from typing import Callable

from email_relay.relay.transport.config import SmtpConfig
from email_relay.relay.transport.opening import open_link
from email_relay.relay.transport.pipelining import Pipelining
from email_relay.relay.transport.session import SmtpSession


class SmtpTransport:
    """Opens sessions, from any thread, and remembers whether the server's PIPELINING holds what it promises."""

    def __init__(self, config: SmtpConfig, clock: Callable[[], float] = monotonic) -> None:
        self.config = config
        self._clock = clock
        self._pipelining = Pipelining()

    @property
    def server(self) -> str:
        return self.config.server

    def connect(self) -> SmtpSession:
        """Raises `ServerUnavailable`, and `ConfigurationError` for certificate files that cannot be read."""
        wire, features = open_link(self.config)
        return SmtpSession(wire, features, self.config, self._pipelining, self._clock)
