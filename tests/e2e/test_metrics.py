"""Counters of a real worker's processes, scraped from the real site."""

from __future__ import annotations

import os
import re
import signal

import pytest

from tests.conftest import needed
from tests.docs.pages import ROOT
from tests.e2e.scrape import Scrape, scrape, site
from tests.e2e.service import Service
from tests.support import brokers, databases, postgres
from tests.support.ports import free_port
from tests.support.processes import Process
from tests.support.promtool import promtool
from tests.support.smtpserver import SmtpServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

RULES = ROOT / "docker" / "alerts.yml"
TESTS_OF_RULES = ROOT / "tests" / "docker" / "alerts_test.yml"
SENT = {"outcome": "sent", "smtp_class": "2xx"}
HISTOGRAMS = ("queue_latency", "smtp_transaction", "smtp_connect", "claim", "settle")


def attempts(text: Scrape, **labels: str) -> float:
    return text.total("email_relay_attempts_total", **{**SENT, **labels})


def scraped(port: int, sent: int) -> Scrape:
    """A scrape that counts so many sent: a message is counted after it is settled."""
    latest = Scrape()

    def counted() -> bool:
        nonlocal latest
        latest = scrape(port)
        return attempts(latest) >= sent

    wait_until(counted, 60, lambda: f"{sent} counted, of which {attempts(latest)} are")
    return latest


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metrics")
    postgresql = needed("PostgreSQL", databases.postgresql_database, postgres.NoServer)
    # behind the broker of files the pool's processes share one pipe, and one killed while it waits there blocks the others
    redis = needed("Redis", lambda: brokers.redis_broker(folder), brokers.NoBroker)
    with postgresql as url, redis as broker, SmtpServer() as smtp:
        service = Service(folder, url, broker, smtp)
        service.migrate()
        yield service


@pytest.fixture(scope="module")
def scrapes(service):
    """What the site tells: after 200 were sent, once a pool process was killed, after 20 more, and with the next worker."""
    with site(service) as port:
        service.env["DJANGO_EMAIL_RELAY__RELAY_HEALTHCHECK_URL"] = f"http://127.0.0.1:{port}/healthz"
        with service.worker() as worker:
            service.clients("shop", "crm")
            service.wait_until_sent(200, worker)
            found = {"sent": scraped(port, 200)}
            kill_a_pool_process(service, worker)
            found["killed"] = scrape(port)
            service.clients("shop", count=20)
            service.wait_until_sent(220, worker)
            found["more"] = scraped(port, 220)
            wait_until(lambda: heartbeats(scrape(port)) > 0, 120, "a heartbeat")
            worker.terminate()
        with service.worker() as worker:
            found["restarted"] = scrape(port)
            found["folders"] = sorted(path.name[:4] for path in (service.folder / "var" / "metrics").glob("*/"))
            found["outage"] = scrape_of_an_outage(service, worker, port)
            worker.terminate()
    return found


def scrape_of_an_outage(service: Service, worker: Process, port: int) -> Scrape:
    service.smtp.pause()
    service.clients("shop", count=1)
    wait_until(lambda: scrape(port).total("email_relay_circuit_open"), 60, "an open circuit")
    found = scrape(port)
    service.smtp.resume()
    service.wait_until_sent(221, worker)
    return found


def heartbeats(found: Scrape) -> float:
    return found.total("email_relay_heartbeats_total", result="sent")


def kill_a_pool_process(service: Service, worker: Process) -> None:
    connection = postgres.connect(service.url)
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT name FROM email_relay_worker")
        pid = int(cursor.fetchone()[0].rpartition(":")[2])
    finally:
        connection.close()
    os.kill(pid, signal.SIGKILL)
    worker.wait_ready("signal 9")


def test_counters_equal_what_was_sent(scrapes):
    text = scrapes["sent"]
    assert attempts(text) == 200
    assert attempts(text, source="shop") == attempts(text, source="crm") == 100


def test_every_step_is_timed(scrapes):
    text = scrapes["sent"]
    assert text.total("email_relay_queue_latency_seconds_count") == 200
    assert text.total("email_relay_smtp_transaction_seconds_count") == 200
    for name in HISTOGRAMS:
        assert text.total(f"email_relay_{name}_seconds_count") > 0, name
        assert text.total(f"email_relay_{name}_seconds_sum") > 0, name


def test_a_killed_pool_process_takes_nothing_with_it(scrapes):
    assert attempts(scrapes["killed"]) == 200
    assert attempts(scrapes["more"]) == 220


def test_the_next_worker_goes_on_counting_and_leaves_no_files_of_the_last(scrapes):
    assert attempts(scrapes["restarted"]) == 220
    assert scrapes["folders"] == ["past", "run-"]


def test_p13_no_address_is_in_the_metrics(scrapes):
    assert "@" not in scrapes["sent"]


def test_promtool_finds_no_fault_with_the_metrics(scrapes):
    promtool("check", "metrics", text=scrapes["outage"])


def test_what_is_scraped_is_on_the_page(scrapes):
    from service_page import metric_rows

    families = set(re.findall(r"^# TYPE (\w+)", scrapes["outage"], re.MULTILINE))
    assert families == {name for name, *_ in metric_rows()}


def test_heartbeats_are_counted_and_outlive_their_worker(scrapes):
    assert heartbeats(scrapes["restarted"]) > 0


@pytest.mark.parametrize("path", [RULES, TESTS_OF_RULES], ids=lambda path: path.name)
def test_every_metric_of_the_alert_rules_is_scraped(scrapes, path):
    named = set(re.findall(r"\bemail_relay_\w+", path.read_text()))
    assert named
    assert named <= scrapes["outage"].names


def test_a_worker_with_a_port_of_its_own_serves_its_counters(service):
    port = free_port()
    service.env["METRICS_PORT"] = port
    try:
        with service.worker("-m", "celery", "-A", "relay_worker", "worker", "-c", "1") as worker:
            text = scrape(port)
            worker.terminate()
    finally:
        del service.env["METRICS_PORT"]
    assert text.total("email_relay_claim_seconds_count") > 0
    assert "email_relay_queue_messages" not in text.names


def test_a_pool_that_renews_its_processes_leaves_no_heap_of_files(service):
    service.env["CELERY_WORKER_MAX_TASKS_PER_CHILD"] = 1
    try:
        with site(service) as port, service.worker() as worker:
            before = attempts(scrape(port))
            service.clients("shop", count=10)
            wait_until(lambda: worker.output.count("succeeded") >= 12, 60, lambda: f"twelve tasks:\n{worker.tail()}")
            assert attempts(scraped(port, before + 10)) == before + 10
            [run] = (service.folder / "var" / "metrics").glob("run-*")
            written = {path.stem.rpartition("_")[2] for path in run.glob("*.db")}
            worker.terminate()
    finally:
        del service.env["CELERY_WORKER_MAX_TASKS_PER_CHILD"]
    assert len(written) <= 5, "files of the main process, of the pool's two, and of two that are about to end"


def test_the_relay_without_celery_counts_too(service):
    with site(service) as port:
        before = attempts(scrape(port))
        service.clients("shop", count=5)
        with service.process("-m", "relay_worker.cli", "run", "--once") as run:
            assert run.wait() == 0, run.tail()
        assert attempts(scrape(port)) == before + 5
