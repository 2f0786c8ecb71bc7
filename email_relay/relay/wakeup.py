"""Waking: a connection of its own listens for the inserts' notifications and sets an event.

It coalesces bursts, reconnects by itself, survives a database restart, and where LISTEN cannot work (MariaDB, SQLite, PgBouncer in
transaction mode) it says so once and leaves polling to its owner.
"""

from __future__ import annotations

import logging
import select
import threading
from typing import Any, Callable, Optional

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger("email_relay.relay")

CHANNEL = "email_relay"
WAIT_SECONDS = 1.0
CHECK_SECONDS = 30.0
RECONNECT_SECONDS = (0.5, 30.0)


def can_listen(alias: str) -> bool:
    return connections[alias].vendor == "postgresql"


class Listener:
    """Calls ``on_wake`` from its own thread after a notification, and after each reconnect (one may have been missed)."""

    def __init__(self, alias: str, on_wake: Callable[[], None]) -> None:
        self.alias = alias
        self.on_wake = on_wake
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def start(self) -> bool:
        """False where the database cannot notify: the owner polls."""
        if not can_listen(self.alias):
            logger.info("this database cannot wake the relay (%s): polling", connections[self.alias].vendor)
            return False
        self._thread = threading.Thread(target=self._run, name="email-relay-listener", daemon=True)
        self._thread.start()
        return True

    def stop(self, timeout: float = 5.0) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        pause, most = RECONNECT_SECONDS
        while not self._stop.is_set():
            connection = connections[self.alias].copy()
            try:
                self._listen(connection)
                pause = RECONNECT_SECONDS[0]
            except Exception as error:  # noqa: BLE001 - whatever the driver raises: the link is gone and made anew
                logger.warning("listener lost its connection (%s), again in %.1fs", type(error).__name__, pause)
                self._stop.wait(pause)
                pause = min(2 * pause, most)
            finally:
                connection.close()

    def _listen(self, connection: BaseDatabaseWrapper) -> None:
        connection.ensure_connection()
        connection.set_autocommit(True)
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        self.on_wake()
        quiet = 0.0
        while not self._stop.is_set():
            if self._notified(connection.connection):
                self.on_wake()
                quiet = 0.0
            quiet += WAIT_SECONDS
            if quiet >= CHECK_SECONDS:
                # a half-open link would never report anything
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                quiet = 0.0

    def _notified(self, link: Any) -> bool:
        if hasattr(link, "notifies") and callable(link.notifies):
            return any(True for _ in link.notifies(timeout=WAIT_SECONDS, stop_after=1))
        # one may have come beside the answer to a query
        if not link.notifies:
            ready, _, _ = select.select([link], [], [], WAIT_SECONDS)
            if not ready:
                return False
            link.poll()
        found = bool(link.notifies)
        link.notifies.clear()
        return found
