"""The trigger that wakes a relay: by every INSERT, but only while a relay has declared itself idle."""

from __future__ import annotations

from typing import Any, Iterator

import pytest

from tests.migrations.conftest import Database
from tests.support.postgres import connect
from tests.support.waiting import wait_until

INSERT = "INSERT INTO email_relay_message (data, priority, created_at, updated_at) VALUES ('{}', 1, now(), now())"
WORKER = """INSERT INTO email_relay_worker
(name, version, started_at, seen_at, busy, idle_until, sessions, heartbeat_result)
VALUES ('w', '', now(), now(), false, %s, 0, '')"""
MARK = "mark"


class Ear:
    """A session that listens; what it hears is told apart from a mark sent last, so that silence needs no waiting."""

    def __init__(self, url: str) -> None:
        self.connection = connect(url)
        self.payloads: list[str] = []
        if hasattr(self.connection, "add_notify_handler"):
            self.connection.add_notify_handler(lambda notification: self.payloads.append(notification.payload))
        self.cursor = self.connection.cursor()
        self.cursor.execute("LISTEN email_relay")

    def heard(self) -> list[str]:
        """The payloads that came before the mark."""
        self.cursor.execute(f"NOTIFY email_relay, '{MARK}'")
        wait_until(self.marked, 30, "the mark")
        before, self.payloads[:] = self.payloads[: self.payloads.index(MARK)], []
        return before

    def marked(self) -> bool:
        """Notifications come with the answer to any statement."""
        self.cursor.execute("SELECT 1")
        if isinstance(self.connection.notifies, list):
            self.payloads += [notification.payload for notification in self.connection.notifies]
            self.connection.notifies.clear()
        return MARK in self.payloads


@pytest.fixture
def ear(postgresql: Database, postgresql_database: str) -> Iterator[Ear]:
    postgresql.latest()
    listener = Ear(postgresql_database)
    yield listener
    listener.connection.close()


def declare(database: Database, idle_until: Any) -> None:
    database.execute("DELETE FROM email_relay_worker")
    database.execute(WORKER.replace("%s", idle_until))


def test_nobody_is_woken_while_there_is_no_relay(postgresql: Database, ear: Ear) -> None:
    postgresql.execute(INSERT)
    assert ear.heard() == []


@pytest.mark.parametrize("idle_until", ["NULL", "now() - interval '1 s'"])
def test_a_busy_relay_is_not_woken(postgresql: Database, ear: Ear, idle_until: str) -> None:
    declare(postgresql, idle_until)
    postgresql.execute(INSERT)
    assert ear.heard() == []


def test_an_idle_relay_is_woken_once_for_each_statement(postgresql: Database, ear: Ear) -> None:
    """However many rows it writes; by clients of 0.x too, since the trigger is the database's."""
    declare(postgresql, "now() + interval '1 h'")
    postgresql.execute(INSERT + ", ('{}', 1, now(), now())" * 9)
    assert ear.heard() == [""]


def test_requeueing_wakes_and_settling_does_not(postgresql: Database, ear: Ear) -> None:
    postgresql.execute(INSERT)
    declare(postgresql, "now() + interval '1 h'")
    postgresql.execute("UPDATE email_relay_message SET status = 2, retry_count = 1, due_at = now(), updated_at = now()")
    assert ear.heard() == []
    postgresql.execute("UPDATE email_relay_message SET status = 1, ready_at = now()")
    assert ear.heard() == [""]
