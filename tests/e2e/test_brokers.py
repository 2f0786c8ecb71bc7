"""The real worker on each broker, while the broker restarts, is away for long, and loses what it holds (P8)."""

from __future__ import annotations

import threading
from typing import Iterator

import pytest

from tests.conftest import needed
from tests.e2e.service import SENT, Service, assert_exactly_once
from tests.support.brokers import Broker, NoBroker, filesystem_broker, rabbitmq_broker, redis_broker
from tests.support.smtpserver import SmtpServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

MAKERS = {"filesystem": filesystem_broker, "redis": redis_broker, "rabbitmq": rabbitmq_broker}


@pytest.fixture(scope="module", params=list(MAKERS))
def broker(request, tmp_path_factory) -> Iterator[Broker]:
    """One of each kind for all of these tests: what one leaves behind is nothing to the next."""
    directory = tmp_path_factory.mktemp(request.param)
    with needed(request.param, lambda: MAKERS[request.param](directory), NoBroker) as broker:
        if broker.stop is None:
            pytest.skip("this broker is not ours to stop")
        yield broker


@pytest.fixture
def service(tmp_path, postgresql_database, broker: Broker, smtp_server: SmtpServer) -> Service:
    service = Service(tmp_path, postgresql_database, broker, smtp_server)
    service.migrate()
    return service


def test_p8_what_is_queued_before_during_and_after_a_restart_arrives_once(service, broker, smtp_server):
    """The broker goes in the middle of a drain, which goes on."""
    gone = threading.Event()
    smtp_server.script.on_mail = lambda sender: None if smtp_server.count < 10 else (gone.wait(60), None)[1]
    with service.worker() as worker:
        service.clients("before", count=100)
        smtp_server.wait_for(10)
        broker.stop()
        service.clients("during", count=20)
        assert service.states()[SENT] < 100
        gone.set()
        broker.start()
        service.clients("after", count=20)
        service.wait_until_sent(140, worker)
        assert worker.terminate() == 0, worker.tail()
    assert_exactly_once(service, smtp_server)


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"], indirect=True)
def test_p8_a_broker_that_is_away_for_half_a_minute_costs_latency_only(service, broker, smtp_server):
    """By then the worker has tried to reconnect with pauses of 2, 4, 6, 8 and 10 seconds."""
    with service.worker() as worker:
        service.clients("before", count=5)
        service.wait_until_sent(5, worker)
        broker.stop()
        service.clients("during", count=20)
        worker.wait_ready("Trying again in 10.00 seconds", timeout=120)
        broker.start()
        service.wait_until_sent(25, worker)
        # what comes later finds the worker as it was: woken by the database, called in by its own tasks
        service.clients("after", "later", count=50)
        service.wait_until_sent(125, worker)
        assert worker.terminate() == 0, worker.tail()
    assert_exactly_once(service, smtp_server)


def test_p8_a_broker_that_loses_all_it_holds_costs_latency_only(service, broker, smtp_server):
    smtp_server.script.delay = 0.02
    with service.worker() as worker:
        service.clients("before", count=50)
        smtp_server.wait_for(10)
        broker.empty()
        service.clients("after", count=50)
        service.wait_until_sent(100, worker)
        broker.empty()
        service.clients("later", count=20)
        service.wait_until_sent(120, worker)
        assert worker.terminate() == 0, worker.tail()
    assert_exactly_once(service, smtp_server)


@pytest.mark.parametrize("broker", ["rabbitmq"], indirect=True)
def test_tasks_wait_in_a_quorum_queue_the_delayed_too(service, broker, smtp_server):
    """Under EMAIL_MAX_BATCH a drain sends the next one delayed by a pause."""
    service.env["DJANGO_EMAIL_RELAY__EMAIL_MAX_BATCH"] = 5
    service.clients("shop", count=15)
    with service.worker() as worker:
        queues = broker.control("list_queues", "name", "type")
        service.wait_until_sent(15, worker)
        assert worker.terminate() == 0, worker.tail()
    types = dict(line.split("\t") for line in queues.splitlines()[1:])
    assert types["email_relay"] == "quorum"
    assert not [words for words in ("Traceback", "not supported", "could not send") if words in worker.output]
