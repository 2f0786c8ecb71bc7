"""Limits that hold over all relays: four real processes work on one backlog, and the SMTP server's own log is counted."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack

import pytest

from tests.e2e.service import Service, assert_exactly_once
from tests.support.smtpserver import SmtpServer

pytestmark = pytest.mark.slow

PROCESSES = 4
INTERVAL, A_MINUTE = 0.1, 600
RUN = ("-m", "relay_worker.cli", "run")


@pytest.fixture
def service(tmp_path, postgresql_database, smtp_server: SmtpServer) -> Service:
    service = Service(tmp_path, postgresql_database, None, smtp_server, DJANGO_EMAIL_RELAY__EMPTY_QUEUE_SLEEP=0.5)
    service.migrate()
    return service


def drain_by_four(service: Service, server: SmtpServer, count: int) -> float:
    """Queue *count* messages, then let four relays loose on them; the instant before they start."""
    service.clients("shop", count=count)
    before = time.time()
    with ExitStack() as stack:
        relays = [stack.enter_context(service.process(*RUN)) for _ in range(PROCESSES)]
        for relay in relays:
            relay.wait_ready("relay started")
        service.wait_until_sent(count, relays[0])
        assert [relay.terminate() for relay in relays] == [0] * PROCESSES
    assert_exactly_once(service, server)
    assert_shared(service)
    return before


def assert_shared(service: Service) -> None:
    assert len({worker for (worker,) in service.rows("worker")}) > 1, "more than one of them worked"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("EMAIL_THROTTLE", INTERVAL),
        ("MESSAGES_PER_MINUTE", A_MINUTE),
        ("SOURCE_POLICIES", json.dumps({"shop": {"messages_per_minute": A_MINUTE}})),
    ],
)
def test_at_any_instant_no_more_has_arrived_than_the_pace_allows(service, smtp_server, setting, value):
    """The n-th message arrives n intervals after the start or later, whichever process sent it."""
    service.env[f"DJANGO_EMAIL_RELAY__{setting}"] = value
    before = drain_by_four(service, smtp_server, 60)
    arrived = sorted(message.at for message in smtp_server.received)
    assert [n for n, at in enumerate(arrived) if at - before < n * INTERVAL] == []


def test_four_processes_open_no_more_sessions_than_three(service, smtp_server):
    """Each may open one, and the server is slow enough for all of them to want to."""
    service.env.update({"DJANGO_EMAIL_RELAY__SMTP_MAX_SESSIONS_TOTAL": 3, "DJANGO_EMAIL_RELAY__SMTP_MAX_SESSIONS": 1})
    smtp_server.script.delay = 0.02
    drain_by_four(service, smtp_server, 400)
    assert smtp_server.most_sessions <= 3


def test_a_session_of_the_last_drain_does_not_stand_beside_one_of_the_next(service, smtp_server):
    """One session for all: each message wakes four idle relays, and whichever is first takes it."""
    service.env["DJANGO_EMAIL_RELAY__SMTP_MAX_SESSIONS_TOTAL"] = 1
    with ExitStack() as stack:
        relays = [stack.enter_context(service.process(*RUN)) for _ in range(PROCESSES)]
        for relay in relays:
            relay.wait_ready("relay started")
        for sent in range(1, 13):
            service.clients("shop", count=1)
            service.wait_until_sent(sent, relays[0])
        assert [relay.terminate() for relay in relays] == [0] * PROCESSES
    assert_shared(service)
    assert smtp_server.most_sessions == 1


def test_a_killed_relay_gives_its_sessions_up(service, smtp_server):
    """All there may be were its own; they are free with its leases."""
    service.env.update({"DJANGO_EMAIL_RELAY__SMTP_MAX_SESSIONS_TOTAL": 2, "DJANGO_EMAIL_RELAY__LEASE_SECONDS": 5})
    service.clients("shop", count=100)
    smtp_server.script.delay = 0.05
    with service.process(*RUN) as relay:
        smtp_server.wait_for(5)
        relay.kill()
    smtp_server.script.delay = 0
    with service.process(*RUN) as relay:
        service.wait_until_sent(100, relay)
        relay.terminate()
