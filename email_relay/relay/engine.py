"""The engine of one process, put together: database, way out, sessions, policy, name."""

from __future__ import annotations

import atexit
import os
import random
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Optional

from email_relay.conf import RelaySettings, relay_settings
from email_relay.db import relay_alias
from email_relay.relay.dispatch import Dispatcher
from email_relay.relay.policy import Policies
from email_relay.relay.retry import Random, RetryPolicy
from email_relay.relay.transport.choice import transport
from email_relay.relay.workers import worker_name


@dataclass
class Engine:
    """What a drain works with. Sessions stay open between drains for a while; `close` says goodbye."""

    alias: str
    settings: RelaySettings
    dispatcher: Dispatcher
    policies: Policies
    retry: RetryPolicy
    worker: str
    random: Random = random.random
    died_at: Optional[int] = None
    """The message at which the last fresh session died, if one did."""
    draining: threading.Lock = field(default_factory=threading.Lock)
    """Held by the drain under way: two would take each other's reports."""

    @property
    def server(self) -> str:
        return self.dispatcher.transport.server

    def close(self) -> None:
        self.dispatcher.close()


def retry_policy(settings: RelaySettings) -> RetryPolicy:
    return RetryPolicy(
        base=timedelta(seconds=settings.RETRY_BASE_SECONDS),
        cap=timedelta(seconds=settings.RETRY_MAX_SECONDS),
        max_retries=settings.EMAIL_MAX_RETRIES,
        lifetime=settings.lifetime,
    )


def build() -> Engine:
    """An engine by the project's settings. Raises `ConfigurationError`."""
    settings = relay_settings()
    return Engine(
        alias=relay_alias(),
        settings=settings,
        dispatcher=Dispatcher(transport(), settings.SMTP_MAX_SESSIONS),
        policies=Policies(settings.SOURCE_POLICIES),
        retry=retry_policy(settings),
        worker=worker_name(),
    )


_engine: Optional[Engine] = None
_owner = 0


def process_engine() -> Engine:
    """This process's engine, built at the first call; a forked child builds its own."""
    global _engine, _owner
    if _engine is None or _owner != os.getpid():
        _engine, _owner = build(), os.getpid()
        atexit.register(_engine.close)
    return _engine
