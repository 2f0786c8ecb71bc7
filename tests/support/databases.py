"""Fresh databases for tests that start processes of their own."""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager, suppress
from typing import Iterator

from tests.support import mariadb, postgres
from tests.support.urls import with_name

counter = itertools.count(1)


def unique_name(prefix: str = "relay") -> str:
    """A name nobody else on this server uses."""
    return f"{prefix}_{os.getpid()}_{next(counter)}"


@contextmanager
def postgresql_database(prefix: str = "relay", server: str | None = None, options: str = "") -> Iterator[str]:
    """The URL of an empty PostgreSQL database, dropped at the end with whoever is still connected.

    *options* go to CREATE DATABASE.
    """
    server, name = server or postgres.server_url(), unique_name(prefix)
    execute_postgresql(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    execute_postgresql(server, f'CREATE DATABASE "{name}" TEMPLATE template0 {options}')
    try:
        yield with_name(server, name)
    finally:
        execute_postgresql(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def mariadb_database(prefix: str = "relay") -> Iterator[str]:
    """The URL of an empty MariaDB database, dropped at the end."""
    server, name = mariadb.server_url(), unique_name(prefix)
    execute_mariadb(server, f"DROP DATABASE IF EXISTS `{name}`")
    execute_mariadb(server, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    try:
        yield with_name(server, name)
    finally:
        kill_mariadb_sessions(server, name)
        execute_mariadb(server, f"DROP DATABASE IF EXISTS `{name}`")


def execute_postgresql(url: str, sql: str) -> None:
    connection = postgres.connect(url)
    try:
        connection.cursor().execute(sql)
    finally:
        connection.close()


def execute_mariadb(url: str, sql: str) -> None:
    connection = mariadb.connect(url)
    try:
        connection.cursor().execute(sql)
    finally:
        connection.close()


def kill_mariadb_sessions(url: str, name: str) -> None:
    """End what is still connected to *name*: DROP DATABASE would wait for its locks."""
    from pymysql.err import OperationalError

    connection = mariadb.connect(url)
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [name])
        for (session,) in cursor.fetchall():
            with suppress(OperationalError):  # it may have gone by itself
                cursor.execute(f"KILL {session}")
    finally:
        connection.close()
