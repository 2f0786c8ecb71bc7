"""Fresh databases of all three kinds, and migrations run on them to any point."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest
from django.db.migrations.executor import MigrationExecutor

from tests.support.aliases import alias_for

LEGACY = "0002_auto_20231030_1304"


class Database:
    """One database and the point of the relay's migrations it stands at."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.vendor = connection.vendor
        self.alias = connection.alias

    def migrate(self, name: str | None) -> Any:
        """Go forwards or backwards to migration *name*, or to none at all; the models as they are there."""
        executor = MigrationExecutor(self.connection)
        return executor.migrate([("email_relay", name)]).apps

    def latest(self) -> Any:
        loader = MigrationExecutor(self.connection).loader
        [leaf] = loader.graph.leaf_nodes("email_relay")
        return self.migrate(leaf[1])

    def columns(self) -> set[str]:
        with self.connection.cursor() as cursor:
            described = self.connection.introspection.get_table_description(cursor, "email_relay_message")
        return {column.name for column in described}

    def tables(self) -> set[str]:
        return {name for name in self.connection.introspection.table_names() if name.startswith("email_relay_")}

    def execute(self, sql: str, parameters: Any = None) -> list:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


@pytest.fixture
def postgresql(django_db_blocker: Any, postgresql_database: str) -> Iterator[Database]:
    with django_db_blocker.unblock(), alias_for(postgresql_database) as connection:
        yield Database(connection)


@pytest.fixture
def mariadb(django_db_blocker: Any, mariadb_database: str) -> Iterator[Database]:
    with django_db_blocker.unblock(), alias_for(mariadb_database) as connection:
        yield Database(connection)


@pytest.fixture
def sqlite(django_db_blocker: Any, tmp_path: Path) -> Iterator[Database]:
    with django_db_blocker.unblock(), alias_for(str(tmp_path / "fresh.sqlite3")) as connection:
        yield Database(connection)


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def fresh(request: pytest.FixtureRequest) -> Database:
    """An empty database of each kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["postgresql", "mariadb"])
def central(request: pytest.FixtureRequest) -> Database:
    """A migrated database of the kinds that serve many projects, clients of 0.x among them."""
    database = request.getfixturevalue(request.param)
    database.latest()
    return database


@pytest.fixture
def migrated(fresh: Database) -> Database:
    fresh.latest()
    return fresh
