"""What only the database itself can give: defaults of what an enqueue leaves out, storage, indexes, the waking trigger.

SQLite gets none of it: Django rebuilds its tables and would lose raw defaults; 0.x clients are served on PostgreSQL and
MariaDB.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

MESSAGE = "email_relay_message"
CHANNEL = "email_relay"

POSTGRESQL = [
    # what an enqueue of 1.0 leaves out, so that a role needs no right to name these columns
    f"ALTER TABLE {MESSAGE} ALTER COLUMN status SET DEFAULT 1",
    f"ALTER TABLE {MESSAGE} ALTER COLUMN retry_count SET DEFAULT 0",
    f"ALTER TABLE {MESSAGE} ALTER COLUMN log SET DEFAULT ''",
    # bodies are read once and never searched: out of line, and not compressed at the client's expense
    f"ALTER TABLE {MESSAGE} ALTER COLUMN mime SET STORAGE EXTERNAL",
    f"ALTER TABLE {MESSAGE} SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, "
    "autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000)",
    f"CREATE INDEX email_relay_recipients ON {MESSAGE} USING gin (recipients jsonb_path_ops)",
]
POSTGRESQL_BACK = [
    "DROP INDEX IF EXISTS email_relay_recipients",
    f"ALTER TABLE {MESSAGE} RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, "
    "autovacuum_analyze_scale_factor, autovacuum_analyze_threshold)",
    *(f"ALTER TABLE {MESSAGE} ALTER COLUMN {column} DROP DEFAULT" for column in ("status", "retry_count", "log")),
]

# A notification serializes commits, so it is sent only while a relay has declared itself idle.
WAKE_FUNCTION = """
CREATE OR REPLACE FUNCTION {schema}.email_relay_wake() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $wake$
BEGIN
    IF EXISTS (SELECT 1 FROM {schema}.email_relay_worker WHERE idle_until > clock_timestamp()) THEN
        PERFORM pg_notify('{channel}', '');
    END IF;
    RETURN NULL;
END
$wake$
"""
WAKE_TRIGGER = """
CREATE TRIGGER email_relay_wake AFTER INSERT OR UPDATE OF ready_at ON {schema}.email_relay_message
FOR EACH STATEMENT EXECUTE FUNCTION {schema}.email_relay_wake()
"""

MYSQL = [
    f"ALTER TABLE {MESSAGE} MODIFY mime longblob NULL",
    # no partial indexes here: the status leads instead
    f"CREATE INDEX email_relay_claim_status ON {MESSAGE} (status, source, priority, due_at)",
]
MYSQL_BACK = [f"DROP INDEX email_relay_claim_status ON {MESSAGE}"]


def _schema(schema_editor: Any) -> str:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        return str(cursor.fetchone()[0])


def forwards(apps: Any, schema_editor: Any) -> None:
    vendor = schema_editor.connection.vendor
    for statement in {"postgresql": POSTGRESQL, "mysql": MYSQL}.get(vendor, []):
        schema_editor.execute(statement)
    if vendor == "postgresql":
        schema = _schema(schema_editor)
        schema_editor.execute(WAKE_FUNCTION.format(schema=schema, channel=CHANNEL), params=None)
        schema_editor.execute(WAKE_TRIGGER.format(schema=schema), params=None)


def backwards(apps: Any, schema_editor: Any) -> None:
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema = _schema(schema_editor)
        schema_editor.execute(f"DROP TRIGGER IF EXISTS email_relay_wake ON {schema}.{MESSAGE}")
        schema_editor.execute(f"DROP FUNCTION IF EXISTS {schema}.email_relay_wake()")
    for statement in {"postgresql": POSTGRESQL_BACK, "mysql": MYSQL_BACK}.get(vendor, []):
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("email_relay", "0003_envelope_and_lease")]

    operations = [migrations.RunPython(forwards, backwards, atomic=False)]  # MariaDB cannot roll back DDL
