"""The migrations run while clients of 0.x go on inserting: whoever waits for the table's lock must not fail after it."""

from __future__ import annotations

import threading
from typing import Any, Callable

import pytest

from tests.migrations.conftest import LEGACY, Database
from tests.support import mariadb, postgres
from tests.support.waiting import wait_until

INSERT = """INSERT INTO email_relay_message (data, priority, status, retry_count, log, created_at, updated_at, sent_at)
VALUES ('{}', 1, 1, 0, '', '2026-01-01 00:00:00', '2026-01-01 00:00:00', NULL)"""


class OldClient(threading.Thread):
    """Inserts what 0.x inserts, row after row, until told to stop or refused."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.connect = connect
        self.stopping = threading.Event()
        self.rows = 0
        self.error: Exception | None = None

    def run(self) -> None:
        connection = self.connect()
        try:
            while not self.stopping.wait(0.001):
                connection.cursor().execute(INSERT)
                self.rows += 1
        except Exception as error:
            self.error = error
        finally:
            connection.close()


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_p9_clients_of_0_x_queue_throughout_the_upgrade(kind: str, request: pytest.FixtureRequest) -> None:
    """P9: each new column has its default from the statement that adds it."""
    url = request.getfixturevalue(kind + "_database")
    database: Database = request.getfixturevalue(kind)
    database.migrate(LEGACY)
    module = {"postgresql": postgres, "mariadb": mariadb}[kind]
    clients = [OldClient(lambda: module.connect(url)) for _ in range(4)]
    for client in clients:
        client.start()
    wait_until(lambda: all(client.rows or client.error for client in clients), 60, "the first rows")

    database.latest()

    before = [client.rows for client in clients]
    after = lambda: all(client.rows > n or client.error for client, n in zip(clients, before))  # noqa: E731
    wait_until(after, 60, "rows after the upgrade")
    for client in clients:
        client.stopping.set()
        client.join(60)
    assert [client.error for client in clients] == [None] * len(clients)
    assert database.execute("SELECT count(*) FROM email_relay_message") == [(sum(client.rows for client in clients),)]
