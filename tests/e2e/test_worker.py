"""The real worker, `celery -A relay_worker worker -B`, from client processes to an SMTP server."""

from __future__ import annotations

import signal
import sqlite3
from collections import Counter

import pytest

from tests.e2e.service import SENDING, SENT, Service, assert_exactly_once
from tests.support.smtpserver import Script, SmtpServer
from tests.support.waiting import wait_until


@pytest.fixture
def service(tmp_path, postgresql_database, filesystem_broker, smtp_server):
    service = Service(tmp_path, postgresql_database, filesystem_broker, smtp_server)
    service.migrate()
    return service


def test_p4_two_clients_are_delivered_exactly_once_byte_for_byte(service, smtp_server):
    with service.worker() as worker:
        service.clients("shop", "crm")
        service.wait_until_sent(200, worker)
        assert worker.terminate() == 0
    assert_exactly_once(service, smtp_server)
    assert Counter(source for (source,) in service.rows("source")) == {"shop": 100, "crm": 100}


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["redis", "rabbitmq"], indirect=True)
def test_p4_the_other_brokers_deliver_exactly_once(tmp_path, postgresql_database, broker, smtp_server):
    service = Service(tmp_path, postgresql_database, broker, smtp_server)
    service.migrate()
    with service.worker() as worker:
        service.clients("shop", "crm")
        service.wait_until_sent(200, worker)
        assert worker.terminate() == 0
    assert_exactly_once(service, smtp_server)


@pytest.mark.parametrize("whole_group", [False, True], ids=["main process", "whole group"])
def test_p2_sigterm_in_the_middle_of_a_drain_loses_and_doubles_nothing(service, smtp_server, whole_group):
    service.clients("shop", "crm")
    # so slow that the end of the mail is far away when the signal comes, on a busy machine too
    smtp_server.script.delay = 0.1
    with service.worker() as worker:
        smtp_server.wait_for(10)
        status = worker.terminate_group() if whole_group else worker.terminate()
        assert status == 0, worker.tail()
    states = service.states()
    assert states[SENDING] == 0, "everything in hand was recorded or given back"
    assert 10 <= len(smtp_server.received) == states[SENT] < 200
    smtp_server.script.delay = 0
    with service.worker() as worker:
        service.wait_until_sent(200, worker)
        worker.terminate()
    assert_exactly_once(service, smtp_server)


def test_p1_kill_9_in_the_middle_of_a_drain_loses_nothing(
    tmp_path, postgresql_database, filesystem_broker, smtp_server
):
    service = Service(
        tmp_path, postgresql_database, filesystem_broker, smtp_server, DJANGO_EMAIL_RELAY__LEASE_SECONDS=3
    )
    service.migrate()
    service.clients("shop", "crm")
    smtp_server.script.delay = 0.02
    with service.worker() as worker:
        smtp_server.wait_for(20)
        worker.send_group(signal.SIGKILL)
        wait_until(lambda: not worker.group_running, 30, "the end of the worker")
    smtp_server.script.delay = 0
    # the server may still be taking what was under way
    wait_until(lambda: not smtp_server.open_sessions, 60, "the end of the sessions")
    before = len(smtp_server.received)
    unsettled = before - service.states()[SENT]
    # only the dead worker's leases are short: a living one that is stalled for seconds must not lose any
    del service.env["DJANGO_EMAIL_RELAY__LEASE_SECONDS"]
    with service.worker() as worker:
        service.wait_until_sent(200, worker)
        worker.terminate()
    arrived = Counter(message.content for message in smtp_server.received)
    assert len(arrived) == 200, "each arrived"
    assert sum(arrived.values()) - 200 <= unsettled, "only what was in flight and unrecorded came twice"


def test_p6_an_outage_costs_no_attempt_and_ends_by_itself(service, smtp_server):
    smtp_server.pause()
    with service.worker() as worker:
        service.clients("shop", count=20)
        worker.wait_ready("circuit open")
        assert service.states()[SENT] == 0
        smtp_server.resume()
        service.wait_until_sent(20, worker)
        worker.terminate()
    assert {retries for (retries,) in service.rows("retry_count")} == {0}
    assert_exactly_once(service, smtp_server)


def test_p8_without_beat_the_database_wakes_the_worker(service, smtp_server):
    """The clock is off: only the notification of an insert can have started the drain."""
    # idleness is declared for a few pauses, and must outlive the start of the clients
    service.env["DJANGO_EMAIL_RELAY__EMPTY_QUEUE_SLEEP"] = 60
    with service.worker("-m", "celery", "-A", "relay_worker", "worker", "-c", "1") as worker:
        wait_until(lambda: idle_workers(service), 60, lambda: f"a worker that is idle:\n{worker.tail()}")
        service.clients("shop", count=5)
        service.wait_until_sent(5, worker, timeout=60)
        worker.terminate()


def idle_workers(service: Service) -> int:
    from tests.support import postgres

    connection = postgres.connect(service.url)
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM email_relay_worker WHERE idle_until > now()")
        return int(cursor.fetchone()[0])
    finally:
        connection.close()


@pytest.mark.slow
def test_p8_a_broker_that_is_away_costs_latency_only(tmp_path, postgresql_database, redis_broker, smtp_server):
    if redis_broker.stop is None or redis_broker.start is None:
        pytest.skip("this Redis is not ours to stop")
    service = Service(tmp_path, postgresql_database, redis_broker, smtp_server)
    service.migrate()
    with service.worker() as worker:
        service.clients("shop", count=20)
        service.wait_until_sent(20, worker)
        redis_broker.stop()
        service.clients("crm", count=20)
        redis_broker.start()
        service.wait_until_sent(40, worker)
        worker.terminate()
    assert_exactly_once(service, smtp_server)


def test_missing_migrations_stop_the_worker_with_the_command_to_type(
    tmp_path, postgresql_database, filesystem_broker, smtp_server
):
    service = Service(tmp_path, postgresql_database, filesystem_broker, smtp_server)
    with service.process("-m", "celery", "-A", "relay_worker", "worker", "-B") as worker:
        assert worker.wait(90) != 0
        assert "migrate" in worker.output


def test_no_configuration_at_all_runs_on_sqlite_and_files(tmp_path):
    """Four processes write to one SQLite file: none may see "database is locked"."""
    with SmtpServer(script=Script()) as smtp:
        service = Service(tmp_path, "", None, smtp, DATABASE_URL=None, CELERY_BROKER_URL=None)
        service.migrate()
        path = tmp_path / "var" / "relay.sqlite3"
        with service.worker() as worker:
            service.env["DATABASE_URL"] = f"sqlite:///{path}"
            service.clients("shop", "crm", count=30)
            smtp.wait_for(60)
            connection = sqlite3.connect(path, timeout=30)
            wait_until(
                lambda: (
                    connection.execute("SELECT count(*) FROM email_relay_message WHERE status = 4").fetchone()[0] == 60
                ),
                60,
                lambda: f"60 sent:\n{worker.tail()}",
            )
            connection.close()
            assert worker.terminate() == 0
        assert "database is locked" not in worker.output
        assert len(smtp.received) == 60
