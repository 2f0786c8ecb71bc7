"""Which database holds the queue, and what time it is there.

The clock of the queue is the database's, in UTC: clients and relays are different machines whose clocks differ.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from django.db import connections, models, router

from email_relay.conf import relay_settings

APP_LABEL = "email_relay"


class EmailDatabaseRouter:
    """Sends the relay's tables to ``DATABASE_ALIAS`` and keeps other apps' tables out of it.

    It has no opinion on other apps, but that none of them is migrated into a relay database of its own.
    """

    def db_for_read(self, model: type[models.Model], **_: Any) -> str | None:
        return relay_settings().DATABASE_ALIAS if model._meta.app_label == APP_LABEL else None

    def db_for_write(self, model: type[models.Model], **_: Any) -> str | None:
        return relay_settings().DATABASE_ALIAS if model._meta.app_label == APP_LABEL else None

    def allow_relation(self, obj1: models.Model, obj2: models.Model, **_: Any) -> bool | None:
        ours = [obj._meta.app_label == APP_LABEL for obj in (obj1, obj2)]
        return True if all(ours) else None

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool | None:
        alias = relay_settings().DATABASE_ALIAS
        if app_label == APP_LABEL:
            return db == alias
        return False if db == alias and alias != "default" else None


def relay_alias() -> str:
    """The alias Django's routers name for writing messages; every transaction and query of ours names it."""
    from email_relay.models import Message

    return router.db_for_write(Message)


class DatabaseNow(models.Func):
    """The database's clock in UTC. Django's ``Now()`` follows the session's time zone on MariaDB."""

    template = "CURRENT_TIMESTAMP"
    output_field = models.DateTimeField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="STATEMENT_TIMESTAMP()", **extra)

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(
            compiler, connection, template="STRFTIME('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%f', 'NOW')", **extra
        )


NOW_SQL = {
    "postgresql": "SELECT STATEMENT_TIMESTAMP()",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
    "sqlite": "SELECT STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')",
}


def database_now(alias: str) -> datetime:
    """One round trip: the database's clock, aware, in UTC."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(NOW_SQL[connection.vendor])
        value = cursor.fetchone()[0]
    return as_instant(value)


def as_instant(value: datetime | str) -> datetime:
    """What a cursor gave for a datetime, aware and in UTC, whichever the database."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.astimezone(timezone.utc) if value.tzinfo else value.replace(tzinfo=timezone.utc)


def error_code(error: Exception) -> str:
    """SQLSTATE of PostgreSQL, or the error number of MySQL; "" if there is none."""
    cause = error.__cause__
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    return str(state or (error.args[0] if error.args else ""))
