"""The pool of the real worker, behind a broker whose pool processes share one pipe."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.service import Service
from tests.support.waiting import wait_until


@pytest.fixture
def service(tmp_path, postgresql_database, filesystem_broker, smtp_server):
    service = Service(tmp_path, postgresql_database, filesystem_broker, smtp_server)
    # idleness is declared for a few pauses, so that inserts go on waking the worker
    service.env["DJANGO_EMAIL_RELAY__EMPTY_QUEUE_SLEEP"] = 60
    service.migrate()
    return service


def test_p1_kill_9_of_idle_pool_processes_leaves_a_worker_that_works(service):
    """One of them waits for the next task, the others for its turn: none may take the turn with it."""
    with service.worker("-m", "celery", "-A", "relay_worker", "worker", "-c", "2") as worker:
        service.clients("shop", count=5)
        service.wait_until_sent(5, worker)
        pool = worker.children()
        for pid in pool:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: new_ones(worker, pool) >= 2, 60, lambda: f"a new pool:\n{worker.tail()}")
        service.clients("crm", count=5)
        service.wait_until_sent(10, worker)
        assert worker.terminate() == 0


def new_ones(worker, old) -> int:
    return len(set(worker.children()) - set(old))
