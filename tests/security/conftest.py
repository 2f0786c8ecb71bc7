"""A relay database with roles of the least rights, made by the SQL that `relaygrants` prints."""

from __future__ import annotations

from typing import Any, Iterator
from urllib.parse import urlsplit

import pytest
from django.db.migrations.executor import MigrationExecutor

from email_relay.grants import ClientRole, RelayRole, script
from tests.support import postgres
from tests.support.aliases import alias_for
from tests.support.databases import execute_postgresql, unique_name

PASSWORD = "only-for-tests"


class Roles:
    """Login roles of this test alone; they are the server's, and so outlive the database."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def make(self, what: str) -> str:
        name = unique_name("relay") + "_" + what
        execute_postgresql(postgres.server_url(), f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{PASSWORD}'")
        self.names.append(name)
        return name

    def drop(self) -> None:
        for name in self.names:
            execute_postgresql(postgres.server_url(), f'DROP ROLE "{name}"')


@pytest.fixture
def roles() -> Iterator[Roles]:
    made = Roles()
    yield made
    made.drop()


class Site:
    """A migrated database, its owner's URL, and roles in it: two client projects and the relay."""

    def __init__(self, url: str, roles: Roles) -> None:
        self.url = url
        self.roles = roles
        self.shop, self.blog, self.relay = roles.make("shop"), roles.make("blog"), roles.make("relay")
        self.apply(RelayRole(self.relay))
        self.apply(ClientRole(self.shop, "shop"))
        self.apply(ClientRole(self.blog, "blog"))

    def apply(self, role: Any) -> None:
        self.execute(script(role.statements(), "made by a test"))

    def url_of(self, role: str) -> str:
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=f"{role}:{PASSWORD}@{host}").geturl()

    def execute(self, sql: str, role: str | None = None) -> list[tuple]:
        """Run it as *role*, or as the owner; the rows it gives."""
        connection = postgres.connect(self.url_of(role) if role else self.url)
        try:
            cursor = connection.cursor()
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()

    def refusal(self, sql: str, role: str) -> str | None:
        """The SQLSTATE *role* gets for it; None if the statement goes through."""
        try:
            self.execute(sql, role)
        except Exception as error:
            return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or repr(error)
        return None


@pytest.fixture
def database(django_db_blocker: Any, postgresql_database: str) -> str:
    """The URL of a migrated database, as its owner."""
    with django_db_blocker.unblock(), alias_for(postgresql_database) as connection:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes("email_relay"))
    return postgresql_database


@pytest.fixture
def site(roles: Roles, database: str) -> Site:
    return Site(database, roles)
