"""Database errors of the queue, told apart: trouble that passes or that an operator mends, and everything else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from email_relay.conf import source_name
from email_relay.db import error_code
from email_relay.exceptions import ConfigurationError, QueueUnavailable

PRINTED = 200

NOT_MIGRATED = frozenset({"42P01", "42703", "3F000", "1146", "1054"})  # no such table, column, schema
FORBIDDEN = "42501"  # no right, or a row that row-level security refuses
READ_ONLY = frozenset({"25006", "1290", "1792", "1836"})
HUNG_UP = frozenset({"1153", "2006", "2013"})  # MySQL and MariaDB do so at a statement that is too large, too


def check_alias(alias: str) -> None:
    """Raises `ConfigurationError` if DATABASES lacks the alias."""
    if alias not in connections.databases:
        raise ConfigurationError(
            f"DATABASES has no {alias!r}. Add the relay database under this alias, or set DATABASE_ALIAS in "
            "DJANGO_EMAIL_RELAY."
        )


@contextmanager
def explained(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Turn what keeps the database from taking mail now into `QueueUnavailable`, and a role that may not queue this
    project's mail into `ConfigurationError`. A row that is refused for what it holds is not quoted (P13): that error is
    raised anew. Let others pass.
    """
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        if error_code(error) == FORBIDDEN:
            raise ConfigurationError(_forbidden(connection, error)) from error
        if isinstance(error, (DataError, IntegrityError)) and error.__cause__:  # it has none where it was raised anew
            text = f"The relay database {connection.alias!r} refuses the message: {named(error)}."
            raise type(error)(text).with_traceback(error.__traceback__) from None
        advice = _advice(error)
        if advice is None:
            raise
        _drop_if_dead(connection)
        raise QueueUnavailable(
            f"The relay database {connection.alias!r} cannot take mail now: {_first_line(error)}. {advice}"
        ) from error


def named(error: BaseException) -> str:
    """An error without the values it may quote (P13): "IntegrityError 23514 its_constraint".

    What the driver says of a link that cannot be had is kept, no server has spoken then.
    """
    name = type(error).__name__
    if not isinstance(error, DatabaseError):
        return name
    diagnosis = getattr(error.__cause__, "diag", None)  # PostgreSQL's drivers have it
    number = next((argument for argument in error.args[:1] if isinstance(argument, int)), None)
    facts = (getattr(diagnosis, "sqlstate", None) or number, getattr(diagnosis, "constraint_name", None))
    if isinstance(error, OperationalError) and not any(facts):
        return f"{name} ({_first_line(error)})"
    return " ".join([name, *(str(fact) for fact in facts if fact)])


def _forbidden(connection: BaseDatabaseWrapper, error: Exception) -> str:
    role, source = connection.settings_dict["USER"], source_name()
    return (
        f"The role {role!r} may not queue mail of the source {source!r} on {connection.alias!r}: {_first_line(error)}. "
        f"Set SOURCE to the source this role was granted, or run the SQL of `relaygrants --role {role} --source {source}`."
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:PRINTED]


def _advice(error: Exception) -> str | None:
    code, text = error_code(error), str(error).lower()
    if code in NOT_MIGRATED or "no such table" in text or "has no column named" in text:
        return "Its tables are missing or old: run `migrate` for the app email_relay on this database."
    if code in READ_ONLY or "readonly database" in text:
        return "It is read-only: point the alias at the primary server, or at a file that may be written."
    if code in HUNG_UP:
        return "See that it runs, and that its max_allowed_packet is twice MESSAGE_MAX_BYTES or more."
    if isinstance(error, (OperationalError, InterfaceError)):
        return "See that it runs, can be reached, and lets this project's user in."
    return None


def _drop_if_dead(connection: BaseDatabaseWrapper) -> None:
    """Outside of a request nobody closes a dead connection; the next message is to find a new one."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
