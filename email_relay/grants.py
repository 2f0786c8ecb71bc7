"""SQL for PostgreSQL roles with the least rights: one for each client project, one for the relay. Pure.

A client's role may insert the columns an enqueue writes, and read the state of its own rows: no bodies, no addresses, no
other project's mail, no change to anything. Row-level security ties ``source`` to the role. The relay's role may do with
the queue's rows whatever a relay does, and has no DDL.

The statements are for the owner of the tables, in one transaction, and may be run again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Iterator, Sequence, Tuple

from email_relay.insert import COLUMNS

MESSAGE = "email_relay_message"
OTHERS = (
    *("email_relay_attempt", "email_relay_server", "email_relay_pace", "email_relay_worker"),
    "email_relay_suppression",
)
TABLES = (MESSAGE, *OTHERS)
MIGRATIONS = "django_migrations"

WRITTEN = tuple(COLUMNS.split(", "))
"""What an enqueue names."""
WRITTEN_BY_0X = ("status", "retry_count", "log", "sent_at")
"""What clients of 0.x name besides; their values are held to those of a fresh row."""
READ = (
    *("id", "source", "message_id", "idempotency_key", "queue_id", "size", "priority", "status", "retry_count", "log"),
    *("refused", "created_at", "updated_at", "sent_at", "due_at", "ready_at", "expires_at"),
)
"""The state of a message: what became of it, not what it says or to whom."""
FRESH = (
    "status = 1 AND retry_count = 0 AND lapse_count = 0 AND log = '' AND queue_id = '' AND sent_at IS NULL "
    "AND pending IS NULL AND refused IS NULL AND worker IS NULL AND lease_token IS NULL AND lease_until IS NULL"
)
"""What a policy demands of every new row, whichever columns a role may name."""

ROLE = re.compile(r'[^\x00-\x1f"$]{1,63}')
POLICY_BYTES = 40
SOURCE = re.compile(r"[^\x00-\x1f\\]{1,128}")

UNSERVED = """\
DO $grants$
DECLARE unserved text;
BEGIN
    SELECT grantee.rolname INTO unserved
    FROM pg_class queue CROSS JOIN aclexplode(queue.relacl) given JOIN pg_roles grantee ON grantee.oid = given.grantee
    WHERE queue.oid = {table}::regclass AND given.privilege_type = 'UPDATE' AND grantee.oid <> queue.relowner
      AND NOT grantee.rolsuper AND NOT grantee.rolbypassrls AND NOT EXISTS (
        SELECT FROM pg_policy policy WHERE policy.polrelid = queue.oid AND policy.polcmd IN ('*', 'w')
          AND policy.polroles && ARRAY[grantee.oid, 0::oid])
    LIMIT 1;
    IF unserved IS NOT NULL THEN
        RAISE EXCEPTION 'Role % works on the queue, and would see none of it with row-level security on.', unserved
        USING HINT = 'Run the output of relaygrants --relay ROLE for it first.';
    END IF;
END
$grants$"""
SEQUENCES = """\
DO $grants$
DECLARE serial text;
BEGIN
    -- an identity column needs no right to its sequence; a serial one, made by Django before 4.1, does
    FOR serial IN
        SELECT pg_get_serial_sequence(format('%I.%I', {schema}, owner.relname), part.attname)
        FROM pg_class owner JOIN pg_attribute part ON part.attrelid = owner.oid
        WHERE owner.relnamespace = format('%I', {schema})::regnamespace AND owner.relname IN ({tables})
          AND part.attnum > 0 AND NOT part.attisdropped AND part.attidentity = '' AND part.atthasdef
    LOOP
        IF serial IS NOT NULL THEN
            EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', serial, {role});
        END IF;
    END LOOP;
END
$grants$"""


@dataclass(frozen=True)
class ClientRole:
    """The role of one project. With ``legacy`` its django-email-relay may still be 0.x."""

    role: str
    source: str
    schema: str = "public"
    legacy: bool = False

    def __post_init__(self) -> None:
        _check_role(self.role)
        _check_role(self.schema)
        if not SOURCE.fullmatch(self.source):
            raise ValueError(f"{self.source!r} is no name for a source.")

    def statements(self) -> Iterator[str]:
        """In the order they must run."""
        role, table = _identifier(self.role), _qualified(self.schema, MESSAGE)
        written = WRITTEN + (WRITTEN_BY_0X if self.legacy else ())
        own = f"source IN ({', '.join(map(_literal, self._sources()))})"
        yield from _closed(self.schema, role)
        yield f"GRANT INSERT ({', '.join(written)}) ON {table} TO {role}"
        yield f"GRANT SELECT ({', '.join(READ)}) ON {table} TO {role}"
        yield _sequences(self.schema, self.role, [MESSAGE])
        yield UNSERVED.format(table=_literal(table))
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        yield from _policy(
            table, "email_relay insert", self.role, f"FOR INSERT TO {role} WITH CHECK ({own} AND {FRESH})"
        )
        yield from _policy(table, "email_relay select", self.role, f"FOR SELECT TO {role} USING ({own})")

    def _sources(self) -> Sequence[str]:
        """0.x names no source: the column's default makes it the role's own name."""
        return sorted({self.source, self.role}) if self.legacy else [self.source]


@dataclass(frozen=True)
class RelayRole:
    """The role of the relays. ``others`` are further tables it works on, such as those of the admin."""

    role: str
    schema: str = "public"
    others: Tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_role(self.role)
        _check_role(self.schema)

    def statements(self) -> Iterator[str]:
        """In the order they must run."""
        role, table = _identifier(self.role), _qualified(self.schema, MESSAGE)
        tables = [*TABLES, *(name for name in self.others if name not in TABLES)]
        named = ", ".join(_qualified(self.schema, name) for name in tables)
        yield from _closed(self.schema, role)
        yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {named} TO {role}"
        yield f"GRANT SELECT ON {_qualified(self.schema, MIGRATIONS)} TO {role}"
        yield _sequences(self.schema, self.role, tables)
        yield from _policy(table, "email_relay relay", self.role, f"TO {role} USING (true) WITH CHECK (true)")


def script(statements: Iterator[str], comment: str) -> str:
    """The statements as one transaction, for psql."""
    return f"-- {comment}\nBEGIN;\n" + "".join(statement + ";\n" for statement in statements) + "COMMIT;\n"


def _closed(schema: str, role: str) -> Iterator[str]:
    """Nothing but the way to the schema is left of what the role had on our tables, nor has everybody anything.

    Before version 15 everybody might create tables in ``public``; that ends as well.
    """
    tables = ", ".join(_qualified(schema, name) for name in TABLES)
    yield f"REVOKE ALL ON {tables} FROM {role}, PUBLIC"
    yield f"REVOKE ALL ON FUNCTION {_qualified(schema, 'email_relay_wake')}() FROM {role}, PUBLIC"
    yield f"REVOKE CREATE ON SCHEMA {_identifier(schema)} FROM {role}, PUBLIC"
    yield f"GRANT USAGE ON SCHEMA {_identifier(schema)} TO {role}"


def _sequences(schema: str, role: str, tables: Sequence[str]) -> str:
    names = ", ".join(map(_literal, tables))
    return SEQUENCES.format(schema=_literal(schema), tables=names, role=_literal(role))


def _policy(table: str, kind: str, role: str, rule: str) -> Iterator[str]:
    # names are cut at 63 bytes, and two long roles must not share one
    short = role if len(role.encode()) <= POLICY_BYTES else sha256(role.encode()).hexdigest()[:POLICY_BYTES]
    name = _identifier(f"{kind} {short}")
    yield f"DROP POLICY IF EXISTS {name} ON {table}"
    yield f"CREATE POLICY {name} ON {table} {rule}"


def _check_role(name: str) -> None:
    if not ROLE.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a role or schema here.")


def _qualified(schema: str, name: str) -> str:
    return f"{_identifier(schema)}.{_identifier(name)}"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
