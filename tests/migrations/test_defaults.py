"""What the database itself fills in for a client of 0.x, which names the nine columns it knows."""

from __future__ import annotations

from django.utils import timezone

from tests.migrations.conftest import Database

NINE = """INSERT INTO email_relay_message
(data, priority, status, retry_count, log, created_at, updated_at, sent_at)
VALUES (%s, 1, 1, 0, '', %s, %s, NULL)"""
DUE = {
    "postgresql": "due_at BETWEEN now() - interval '60 s' AND clock_timestamp()",
    "mysql": "due_at BETWEEN UTC_TIMESTAMP(6) - INTERVAL 60 SECOND AND UTC_TIMESTAMP(6)",
}


def insert(database: Database) -> None:
    now = timezone.now()
    if database.vendor == "mysql":
        now = now.replace(tzinfo=None)
    database.execute(NINE, ['{"subject": "old"}', now, now])


def test_p9_the_database_completes_an_insert_of_0_x(central: Database) -> None:
    """P9: the row is claimable, belongs to a source, and is nobody's yet."""
    insert(central)
    columns = (
        "message_id, queue_id, lapse_count, ready_at = due_at OR ready_at > due_at, mime, recipients, pending, worker"
    )
    [row] = central.execute(f"SELECT {columns} FROM email_relay_message")
    assert row == ("", "", 0, True, None, None, None, None)


def test_p9_such_a_row_is_due_at_once_by_the_clock_in_utc(central: Database) -> None:
    """P9: whatever zone the session is in."""
    zone = {"postgresql": "SET TIME ZONE 'Asia/Tokyo'", "mysql": "SET time_zone = '+09:00'"}
    central.execute(zone[central.vendor])
    insert(central)
    [(due,)] = central.execute(f"SELECT {DUE[central.vendor]} FROM email_relay_message", [])
    assert due


def test_p9_such_a_row_belongs_to_the_role_that_wrote_it(postgresql: Database) -> None:
    """P9: on PostgreSQL a client of 0.x has its role's name for a source."""
    postgresql.latest()
    insert(postgresql)
    assert postgresql.execute("SELECT source = current_user FROM email_relay_message") == [(True,)]


def test_what_an_enqueue_leaves_out_has_a_default(postgresql: Database) -> None:
    """A role needs no right to name the columns that are the relay's."""
    postgresql.latest()
    postgresql.execute(
        "INSERT INTO email_relay_message (data, priority, created_at, updated_at) VALUES ('{}', 1, now(), now())", []
    )
    assert postgresql.execute("SELECT status, retry_count, log, lapse_count FROM email_relay_message") == [
        (1, 0, "", 0)
    ]
