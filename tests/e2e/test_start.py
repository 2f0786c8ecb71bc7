"""How the real worker starts: it waits for nobody, and answers whoever asks."""

from __future__ import annotations

import re

import pytest

from tests.e2e.service import WORKER, Service
from tests.support import postgres
from tests.support.waiting import wait_until

SYNC = re.compile("Starting (Mingle|Gossip)")


@pytest.fixture
def service(tmp_path, postgresql_database, redis_broker, smtp_server):
    service = Service(tmp_path, postgresql_database, redis_broker, smtp_server)
    service.migrate()
    return service


def test_a_worker_asks_no_other_one_at_its_start_and_both_still_answer(service):
    service.env["LOG_LEVEL"] = "DEBUG"  # names the steps of the start
    with service.worker(*WORKER, "-n", "one@here") as one, service.worker(*WORKER, "-n", "two@here") as two:
        service.clients("shop", count=5)
        service.wait_until_sent(5, one)
        with service.process("-m", "celery", "-A", "relay_worker", "inspect", "ping", "-t", "10") as ping:
            wait_until(lambda: not ping.running, 60, lambda: f"the answers:\n{ping.tail()}")
        assert "one@here: OK" in ping.output
        assert "two@here: OK" in ping.output
        assert not SYNC.search(one.output + two.output)


def test_an_idle_worker_holds_a_link_to_listen_and_one_for_its_pool_process(service):
    with service.worker("-m", "celery", "-A", "relay_worker", "worker", "-c", "1") as worker:
        service.clients("shop", count=5)
        service.wait_until_sent(5, worker)
        # the clients' links may take a moment to go
        wait_until(lambda: len(links(service)) == 2, 20, lambda: f"two links, not {links(service)}", interval=0.1)


def links(service: Service) -> list[str]:
    """What each link to the relay database but this one asked last."""
    connection = postgres.connect(service.url)
    try:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return [query for (query,) in cursor.fetchall()]
    finally:
        connection.close()
