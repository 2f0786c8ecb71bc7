"""The heartbeat of a real worker."""

from __future__ import annotations

from tests.e2e.service import Service
from tests.support.switch import serving
from tests.support.waiting import wait_until


def test_a_switch_that_hangs_does_not_hold_up_a_worker_of_one_process(
    tmp_path, postgresql_database, filesystem_broker, smtp_server
):
    with serving() as switch:
        switch.hang = True
        service = Service(
            tmp_path,
            postgresql_database,
            filesystem_broker,
            smtp_server,
            DJANGO_EMAIL_RELAY__RELAY_HEALTHCHECK_URL=switch.url(),
            DJANGO_EMAIL_RELAY__RELAY_HEALTHCHECK_TIMEOUT=300,
        )
        service.migrate()
        with service.worker("-m", "celery", "-A", "relay_worker", "worker", "-B", "-c", "1") as worker:
            wait_until(lambda: switch.requests, 60, lambda: f"the ping:\n{worker.tail()}")
            service.clients("shop", count=5)
            service.wait_until_sent(5, worker)
            assert worker.terminate() == 0
        assert "under way" in worker.output
