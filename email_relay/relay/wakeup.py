"""Waking: a connection of its own listens for the inserts' notifications and sets an event.

It coalesces bursts, reconnects by itself, survives a database restart, and where LISTEN cannot work (MariaDB, SQLite, PgBouncer in
transaction mode) it says so once and leaves polling to its owner.

A transaction that inserted while every relay was busy notified nobody, and the last look of a relay that then goes idle does not
see what is not committed. So a relay that goes idle names the transactions still running, and is woken when they have ended.
"""

from __future__ import annotations

import logging
import select
import threading
from contextlib import closing
from typing import Any, Callable, List, Optional
from uuid import uuid4

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from email_relay.relay.pooler import is_pooled, server_of

logger = logging.getLogger("email_relay.relay")

CHANNEL = "email_relay"
WAIT_SECONDS = 1.0
CHECK_SECONDS = 120.0
RECONNECT_SECONDS = (0.5, 30.0)
OLDER_SECONDS = (0.1, 5.0)
"""How often is asked whether older transactions have ended, at first and at most."""
SHARING_TRIALS = 5
"""Two links that live at the same time and are answered by one server: a pooler in transaction mode most often shows so at once."""
TRIAL_SECONDS = 5.0
"""So long a notification may take through a pooler that lets notifications through."""

# The functions of PostgreSQL 13 and later are named pg_snapshot_…; these are there in every version.
NAME_OLDER = f"""
SELECT pg_notify('{CHANNEL}', txid_snapshot_xmax(snapshot)::text) FROM txid_current_snapshot() AS snapshot
WHERE txid_snapshot_xmin(snapshot) < txid_snapshot_xmax(snapshot)
"""
OLDEST_RUNNING = "SELECT txid_snapshot_xmin(txid_current_snapshot())"


def can_listen(alias: str) -> bool:
    return connections[alias].vendor == "postgresql"


def wakes(alias: str) -> bool:
    """Whether inserts would wake a relay here, tried where a pooler stands in between."""
    if not can_listen(alias) or not is_pooled(connections[alias]):
        return can_listen(alias)
    with closing(connections[alias].copy()) as connection:
        return notifications_arrive(connection)


def notifications_arrive(connection: BaseDatabaseWrapper) -> bool:
    """Whether this link hears what another one says. Behind a pooler in transaction mode LISTEN succeeds, in vain."""
    if not is_pooled(connection):
        return True
    with closing(connection.copy()) as other:
        other.ensure_connection()
        if any(server_of(connection) == server_of(other) for _ in range(SHARING_TRIALS)):
            return False
        return _hears(connection, other)


def _hears(connection: BaseDatabaseWrapper, other: BaseDatabaseWrapper) -> bool:
    """Tried on a channel of its own: should LISTEN be left behind in a server of the pool, nobody else hears of it."""
    channel = f"{CHANNEL}_{uuid4().hex}"
    with connection.cursor() as cursor, other.cursor() as speaker:
        cursor.execute(f"LISTEN {channel}")
        speaker.execute(f"NOTIFY {channel}")
        heard = bool(_heard(connection.connection, TRIAL_SECONDS))
        cursor.execute(f"UNLISTEN {channel}")
    return heard


def name_older_transactions(alias: str) -> None:
    """To be called once idleness is declared, before the last look: whoever listens wakes when those have ended."""
    if can_listen(alias):
        with connections[alias].cursor() as cursor:
            cursor.execute(NAME_OLDER)


class OlderTransactions:
    """Those below ``horizon``, a transaction's number, that have not ended yet."""

    def __init__(self) -> None:
        self.horizon = 0
        self.pause = 0.0

    def heard(self, horizon: int) -> None:
        self.horizon = max(self.horizon, horizon)
        self.pause = OLDER_SECONDS[0]

    def have_ended(self, connection: BaseDatabaseWrapper) -> bool:
        """True once, when there were some and the last of them has ended."""
        if not self.horizon:
            return False
        with connection.cursor() as cursor:
            cursor.execute(OLDEST_RUNNING)
            ended = bool(cursor.fetchone()[0] >= self.horizon)
        self.horizon = 0 if ended else self.horizon
        self.pause = min(2 * self.pause, OLDER_SECONDS[1])
        return ended


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
        if not notifications_arrive(connection):
            logger.info("this database cannot wake the relay (a pooler in transaction mode): polling")
            self._stop.set()
            return
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        self.on_wake()
        quiet, older = 0.0, OlderTransactions()
        while not self._stop.is_set():
            wait = min(WAIT_SECONDS, older.pause) if older.horizon else WAIT_SECONDS
            payloads = _heard(connection.connection, wait)
            for payload in filter(None, payloads):
                older.heard(int(payload))
            if "" in payloads or older.have_ended(connection):
                self.on_wake()
            quiet = 0.0 if payloads else quiet + wait
            if quiet >= CHECK_SECONDS:
                # a half-open link would never report anything
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                quiet = 0.0


def _heard(link: Any, wait: float) -> List[str]:
    """What was notified within so many seconds: "" for an insert, else the number behind the older transactions."""
    if callable(link.notifies):
        return [notify.payload for notify in link.notifies(timeout=wait, stop_after=1)]
    # one may have come beside the answer to a query
    if not link.notifies:
        ready, _, _ = select.select([link], [], [], wait)
        if not ready:
            return []
        link.poll()
    payloads = [notify.payload for notify in link.notifies]
    link.notifies.clear()
    return payloads
