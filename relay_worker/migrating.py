"""Migrating when several containers start at once, or before the database does."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext

from django.db import DatabaseError, InterfaceError, ProgrammingError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from email_relay.db import error_code, relay_alias
from email_relay.exceptions import ConfigurationError

logger = logging.getLogger("relay_worker")

LOCK = 4_203_771_301
"""Any number nobody else uses for an advisory lock in this database."""
PAUSE_SECONDS = 1.0
FORBIDDEN = "42501"
"""insufficient_privilege"""


def wait_for_database(seconds: float) -> None:
    """Try until it answers. Raises `ConfigurationError` when the time is over."""
    connection = connections[relay_alias()]
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.ensure_connection()
        except (DatabaseError, InterfaceError) as error:
            if time.monotonic() >= deadline:
                raise ConfigurationError(
                    f"The relay database cannot be reached ({type(error).__name__}): check DATABASE_URL, and that it runs."
                ) from error
            logger.info("waiting for the relay database (%s)", type(error).__name__)
            time.sleep(PAUSE_SECONDS)
        else:
            return


@contextmanager
def alone() -> Iterator[None]:
    """One process migrates, the others wait and find it done. SQLite locks its file by itself."""
    connection = connections[relay_alias()]
    lock = {"postgresql": _lock_of_a_transaction, "mysql": _lock_of_a_session}.get(connection.vendor, nullcontext)
    with lock(connection):
        yield


@contextmanager
def _lock_of_a_transaction(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """On a link of its own. Behind a pooler a lock of the session might be given back to another server, and stay for ever."""
    with closing(connection.copy()) as own:
        own.set_autocommit(False)
        while not _try(own):
            # no waiting inside of the transaction: it would keep a server of the pool from the one that migrates
            own.rollback()
            time.sleep(PAUSE_SECONDS)
        yield
        own.rollback()


def _try(connection: BaseDatabaseWrapper) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


@contextmanager
def _lock_of_a_session(connection: BaseDatabaseWrapper) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(CONCAT('email_relay', %s), 300)", [LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT RELEASE_LOCK(CONCAT('email_relay', %s))", [LOCK])


def all_applied() -> bool:
    """Whether no app of this project has a migration left to apply."""
    executor = MigrationExecutor(connections[relay_alias()])
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


@contextmanager
def explained() -> Iterator[None]:
    """A role that may not make tables is told which one may."""
    try:
        yield
    except ProgrammingError as error:
        if error_code(error) != FORBIDDEN:
            raise
        raise ConfigurationError(
            "This database role may not make or change tables: type email-relay migrate with the DATABASE_URL of their owner."
        ) from error
