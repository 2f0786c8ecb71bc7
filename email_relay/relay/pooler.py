"""Whether a pooler, such as PgBouncer, stands between us and PostgreSQL.

In its transaction mode each transaction may run on another server. What is left in a session (a setting, a prepared statement, a
lock, LISTEN) is lost for us there, and met by whoever comes next.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper


def is_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Whether it is another process that answers than the one which let us in."""
    if connection.vendor != "postgresql":
        return False
    connection.ensure_connection()
    return bool(server_of(connection) != connection.connection.info.backend_pid)


def server_of(connection: BaseDatabaseWrapper) -> int:
    """The process that answers this query; behind a pooler the next one may be another."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])
