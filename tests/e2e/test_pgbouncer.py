"""The relay and its clients behind a PgBouncer that hands each transaction to another server."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from relay_worker.migrating import LOCK
from tests.conftest import needed
from tests.e2e.service import SENT, WORKER, Service, assert_exactly_once
from tests.support import pgbouncer, postgres
from tests.support.pgbouncer import NoPooler, PgBouncer
from tests.support.processes import Process, environment
from tests.support.smtpserver import SmtpServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)

POLLING = "this database cannot wake the relay (a pooler in transaction mode): polling"
SERVERS = 3
RUN = ("-m", "relay_worker.cli", "run")
RUN_UNAWARE = (
    "-c",
    "from email_relay.relay import prepared; prepared.is_pooled = lambda _: False; "
    "from relay_worker.cli import main; main(['run'])",
)
"""A relay that does not notice the pooler, as behind one that tells its clients the servers' own numbers."""
FAILED = 3
LEFT_BEHIND = """
SELECT 'setting ' || name FROM pg_settings WHERE source = 'session' AND name IN ('jit', 'plan_cache_mode')
UNION ALL SELECT 'statement ' || name FROM pg_prepared_statements
UNION ALL SELECT 'channel ' || channel FROM pg_listening_channels() AS channel
UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
"""
LOCKS = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND objid::bigint = %s AND datname = current_database()
"""

Start = Callable[..., PgBouncer]


@pytest.fixture
def start(tmp_path: Path, postgresql_database: str) -> Iterator[Start]:
    """Starts poolers with the options given, and ends them."""
    with ExitStack() as stack:

        def start(**options: object) -> PgBouncer:
            given = {"pool_mode": "transaction", "default_pool_size": SERVERS, **options}
            made = needed("PgBouncer", lambda: pgbouncer.pgbouncer(tmp_path, postgresql_database, **given), NoPooler)
            return stack.enter_context(made)

        yield start


@pytest.fixture
def serve(tmp_path: Path, smtp_server: SmtpServer) -> Callable[[PgBouncer], Service]:
    """An installation whose processes know the pooler alone, while the test looks past it."""

    def serve(pooler: PgBouncer, **variables: object) -> Service:
        service = Service(tmp_path, pooler.target, None, smtp_server, DATABASE_URL=pooler.url, **variables)
        service.migrate()
        return service

    return serve


def complaints(*relays: Process) -> list[str]:
    """What was worse than a message that the server refused."""
    lines = [line for relay in relays for line in relay.output.splitlines()]
    return [line for line in lines if "Traceback" in line or (" ERROR " in line and " failed id=" not in line)]


def check(service: Service) -> str:
    command = [sys.executable, "-m", "relay_worker.cli", "check", "--only", "waking"]
    env = environment(service.env)
    return subprocess.run(command, env=env, cwd=service.folder, capture_output=True, check=True, text=True).stdout


@pytest.mark.parametrize("command", [RUN, WORKER], ids=["run", "worker"])
def test_p1_what_clients_queue_through_a_pooler_arrives_once(command, start, serve, smtp_server):
    """The relay says once that it polls, and nothing worse."""
    service = serve(start())
    with service.process(*command) as relay:
        relay.wait_ready(POLLING)
        service.clients("shop", "blog", "forum", count=40)
        service.wait_until_sent(120, relay)
        assert relay.terminate() == 0, relay.tail()
    assert_exactly_once(service, smtp_server)
    assert relay.output.count("cannot wake the relay") == 1
    assert complaints(relay) == []


@pytest.mark.parametrize("command", [RUN, RUN_UNAWARE], ids=["noticed", "unnoticed"])
def test_p1_two_relays_over_many_servers_lose_nothing(command, start, serve, smtp_server):
    """Each statement goes to another server; what one has prepared the next has never heard of, or knows from the other."""
    smtp_server.script.on_rcpt = lambda to: "550 5.1.1 nobody" if to.startswith("to3@") else None
    service = serve(start(default_pool_size=8, server_round_robin=1))
    with service.process(*command) as one, service.process(*command) as other:
        for relay in (one, other):
            relay.wait_ready(POLLING)
        service.clients("shop", "blog", "forum", count=60)
        wait_until(lambda: service.states() == {SENT: 177, FAILED: 3}, 120, lambda: f"the end, not {service.states()}")
        assert [one.terminate(), other.terminate()] == [0, 0]
    assert len(smtp_server.received) == 177
    assert complaints(one, other) == []


def left_behind(pooler: PgBouncer) -> list[Any]:
    """What the next clients find in the servers of the pool, all of them."""
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(postgres.connect(pooler.url))) for _ in range(SERVERS)]
        cursors = [client.cursor() for client in clients]
        for cursor in cursors:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1")
        found = []
        for cursor in cursors:
            cursor.execute(LEFT_BEHIND)
            found += cursor.fetchall()
    return found


def test_nothing_of_ours_is_left_to_others_in_the_pool(start, serve, smtp_server):
    pooler = start()
    service = serve(pooler)
    service.clients("shop", count=20)
    with service.process(*RUN) as relay:
        relay.wait_ready(POLLING)
        service.wait_until_sent(20, relay)
        assert left_behind(pooler) == []
        assert relay.terminate() == 0
    assert left_behind(pooler) == []


def test_several_that_migrate_at_once_wait_for_each_other_and_leave_no_lock(start, tmp_path, smtp_server):
    pooler = start(server_round_robin=1)
    service = Service(tmp_path, pooler.target, None, smtp_server, DATABASE_URL=pooler.url)
    with ExitStack() as stack:
        migrate = ("-m", "relay_worker.cli", "migrate", "-v0")
        running = [stack.enter_context(service.process(*migrate)) for _ in range(SERVERS + 1)]
        assert [(one.wait(120), one.output) for one in running] == [(0, "")] * len(running)
    with closing(postgres.connect(pooler.target)) as link:
        cursor = link.cursor()
        cursor.execute(LOCKS, [LOCK])
        assert cursor.fetchone() == (0,)


def test_p1_a_pooler_that_restarts_during_a_drain_costs_latency_only(start, serve, smtp_server):
    gone = threading.Event()
    smtp_server.script.on_mail = lambda sender: None if smtp_server.count < 10 else (gone.wait(60), None)[1]
    pooler = start()
    service = serve(pooler)
    with service.process(*RUN) as relay:
        relay.wait_ready(POLLING)
        service.clients("before", count=60)
        smtp_server.wait_for(10)
        pooler.stop()
        gone.set()
        relay.wait_ready("database away")
        pooler.start()
        service.clients("after", count=20)
        service.wait_until_sent(80, relay)
        assert relay.terminate() == 0, relay.tail()
    assert_exactly_once(service, smtp_server)


def test_check_tells_that_the_relay_polls_and_which_setting_is_missing(start, serve):
    service = serve(start())
    polls = "polls each 1 s: a pooler in transaction mode is in between"
    assert f"{polls}; set DISABLE_SERVER_SIDE_CURSORS" in check(service)
    service.env["DATABASES__default__DISABLE_SERVER_SIDE_CURSORS"] = "true"
    assert f"{polls}\n" in check(service)


def idle(service: Service) -> bool:
    with closing(postgres.connect(service.url)) as link:
        cursor = link.cursor()
        cursor.execute("SELECT count(*) FROM email_relay_worker WHERE idle_until > now()")
        return bool(cursor.fetchone()[0])


def test_in_session_mode_inserts_wake_the_relay(start, serve, smtp_server):
    service = serve(start(pool_mode="session", default_pool_size=10), DJANGO_EMAIL_RELAY__EMPTY_QUEUE_SLEEP=3600)
    assert "the database wakes the relay" in check(service)
    with service.process(*RUN) as relay:
        wait_until(lambda: idle(service), 60, lambda: f"the relay to be idle:\n{relay.tail()}")
        service.clients("shop", count=3)
        service.wait_until_sent(3, relay, timeout=60)
        assert relay.terminate() == 0
    assert POLLING not in relay.output
    assert_exactly_once(service, smtp_server)
