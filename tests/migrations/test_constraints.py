"""What no client and no relay, of whatever version, can write."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from tests.migrations.conftest import Database

STAMP = "2026-01-01 00:00:00"
COLUMNS = "data, priority, status, retry_count, log, created_at, updated_at, message_id, queue_id, source, due_at, ready_at, lapse_count"
VALUES = f"'{{}}', 1, 1, 0, '', '{STAMP}', '{STAMP}', '', '', 'shop', '{STAMP}', '{STAMP}', 0"

REFUSED = {
    "an unknown status": "status = 8",
    "no status": "status = 0",
    "an unknown priority": "priority = 4",
    "no priority": "priority = 0",
    "sending without a lease": "status = 5",
    "sending without a token": f"status = 5, lease_until = '{STAMP}'",
    "sending without an end": "status = 5, lease_token = 'token'",
    "a token without sending": "lease_token = 'token'",
    "an end without sending": f"lease_until = '{STAMP}'",
    "sent at no time": "status = 4, worker = 'w'",
    "a worker while queued": "worker = 'w'",
    "a worker while deferred": "status = 2, worker = 'w'",
    "a worker while held": "status = 6, worker = 'w'",
}
SETTLED_BY_NOBODY = {
    "sent": f"status = 4, sent_at = '{STAMP}'",
    "failed": "status = 3",
}
ACCEPTED = {
    "deferred": "status = 2",
    "failed": "status = 3, worker = 'w'",
    "sent": f"status = 4, sent_at = '{STAMP}', worker = 'w'",
    "sending": f"status = 5, lease_token = 'token', lease_until = '{STAMP}', worker = 'w'",
    "held": "status = 6",
    "canceled": "status = 7",
}


@pytest.fixture
def row(migrated: Database) -> Database:
    """A database with one queued row of ours in it."""
    body = {"postgresql": "'\\x41'::bytea", "mysql": "x'41'", "sqlite": "x'41'"}[migrated.vendor]
    migrated.execute(f"INSERT INTO email_relay_message ({COLUMNS}, mime) VALUES ({VALUES}, {body})")
    return migrated


def update(database: Database, assignments: str) -> None:
    with transaction.atomic(using=database.alias):
        database.execute(f"UPDATE email_relay_message SET {assignments}")


def refuses(database: Database, assignments: str) -> bool:
    try:
        update(database, assignments)
    except IntegrityError:
        return True
    except Exception as error:  # MariaDB's number for a violated check is not one Django takes for an IntegrityError
        return "constraint" in str(error).lower()
    return False


def test_rows_that_contradict_themselves_are_refused(row: Database) -> None:
    assert [what for what, assignments in REFUSED.items() if not refuses(row, assignments)] == []


def test_p9_a_row_with_bytes_is_settled_only_by_a_relay_that_says_its_name(row: Database) -> None:
    """P9: a relay of 0.x does not know the column, and stops here with an error."""
    assert [what for what, assignments in SETTLED_BY_NOBODY.items() if not refuses(row, assignments)] == []


def test_p9_a_row_of_0_x_may_be_settled_as_0_x_does(row: Database) -> None:
    """P9: while such a relay still runs, rows of its own clients are its own."""
    update(row, "mime = NULL")
    for assignments in SETTLED_BY_NOBODY.values():
        update(row, assignments)


@pytest.mark.parametrize("state", ACCEPTED)
def test_each_state_can_be_written(sqlite: Database, state: str) -> None:
    sqlite.latest()
    sqlite.execute(f"INSERT INTO email_relay_message ({COLUMNS}, mime) VALUES ({VALUES}, x'41')")
    update(sqlite, ACCEPTED[state])


def test_an_idempotency_key_is_unique_for_its_source(row: Database) -> None:
    insert = f"INSERT INTO email_relay_message ({COLUMNS}, idempotency_key) VALUES ({VALUES}, 'key')"
    row.execute(insert)
    row.execute(insert.replace("'shop'", "'blog'"))
    with pytest.raises(IntegrityError), transaction.atomic(using=row.alias):
        row.execute(insert)
