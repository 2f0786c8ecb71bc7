"""The migrations in both directions, on each database, with rows in it."""

from __future__ import annotations

from typing import Any

from email_relay.db import database_now
from tests.migrations.conftest import LEGACY, Database

LEGACY_COLUMNS = {
    "id",
    "data",
    "priority",
    "status",
    "retry_count",
    "log",
    "created_at",
    "updated_at",
    "sent_at",
}
SENT = 4


def legacy_row(apps: Any, database: Database, **columns: Any) -> Any:
    """A row as 0.x wrote it."""
    data = {"subject": "before", "to": ["you@example.org"]}
    return apps.get_model("email_relay", "Message").objects.using(database.alias).create(data=data, **columns)


def messages(apps: Any, database: Database) -> Any:
    return apps.get_model("email_relay", "Message").objects.using(database.alias)


def test_p9_the_first_two_migrations_make_the_table_of_0_x(fresh: Database) -> None:
    """P9: names and resulting schema are those of 0.6.0."""
    fresh.migrate(LEGACY)
    assert fresh.columns() == LEGACY_COLUMNS
    assert fresh.tables() == {"email_relay_message"}


def test_p9_rows_of_0_x_survive_the_way_forwards(fresh: Database) -> None:
    """P9: what 0.x had queued is due at once, and what it had sent gets the instant it lacked."""
    old = fresh.migrate(LEGACY)
    queued, sent = legacy_row(old, fresh), legacy_row(old, fresh, status=SENT)

    apps = fresh.latest()

    row = messages(apps, fresh).get(pk=queued.pk)
    assert row.data == queued.data
    assert row.due_at <= database_now(fresh.alias)
    assert (row.source, row.message_id, row.queue_id) == ("", "", "")
    assert (row.mime, row.recipients, row.lease_token, row.worker, row.lapse_count) == (None, None, None, None, 0)
    row = messages(apps, fresh).get(pk=sent.pk)
    assert row.sent_at == row.updated_at


def test_rows_survive_the_way_backwards_and_forwards_again(fresh: Database) -> None:
    row = legacy_row(fresh.migrate(LEGACY), fresh)
    fresh.latest()

    old = fresh.migrate(LEGACY)
    assert fresh.columns() == LEGACY_COLUMNS
    assert fresh.tables() == {"email_relay_message"}
    assert messages(old, fresh).get().data == row.data

    assert messages(fresh.latest(), fresh).get().data == row.data


def test_backwards_to_nothing_leaves_nothing(migrated: Database) -> None:
    migrated.migrate(None)
    assert migrated.tables() == set()
    if migrated.vendor == "postgresql":
        assert migrated.execute("SELECT proname FROM pg_proc WHERE proname LIKE 'email_relay%%'", []) == []


def test_the_payload_of_the_very_first_releases_takes_its_later_names(fresh: Database) -> None:
    first = fresh.migrate("0001_initial")
    data = {"subject": "s", "message": "text", "html_message": "<p>", "recipient_list": ["a@example.org"]}
    messages(first, fresh).create(data=data)

    fresh.migrate(LEGACY)

    payload = messages(fresh.migrate(LEGACY), fresh).get().data
    assert (payload["body"], payload["to"]) == ("text", ["a@example.org"])
    assert payload["alternatives"] == [["<p>", "text/html"]]
    assert {"message", "recipient_list", "html_message"}.isdisjoint(payload)


def test_the_schema_a_role_works_in_may_have_any_name(postgresql: Database) -> None:
    """The waking function is found by its schema, not by the search path of whoever inserts."""
    postgresql.execute('CREATE SCHEMA "Mail room"')
    postgresql.execute('SET search_path TO "Mail room"')
    legacy_row(postgresql.latest(), postgresql)
    postgresql.execute("SET search_path TO public")

    insert = """INSERT INTO "Mail room".email_relay_message (data, priority, created_at, updated_at)
        VALUES ('{}', 1, now(), now())"""
    postgresql.execute(insert, [])

    assert postgresql.execute('SELECT count(*) FROM "Mail room".email_relay_message') == [(2,)]
