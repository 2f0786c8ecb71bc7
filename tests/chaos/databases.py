"""Trouble with PostgreSQL: the relay waits, goes on by itself, and no message is charged for it."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import Iterator

from tests.chaos.fault import fault
from tests.chaos.installation import Installation, end_well
from tests.chaos.stops import GRACE_SECONDS
from tests.support import postgres
from tests.support.processes import Process
from tests.support.waiting import wait_until

TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = '{0}' AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
LEASE = 60
"""Longer than the trouble: what was sent meanwhile is recorded afterwards, and not sent again."""
STORM = 30
WAITING = "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
IDLE = "SELECT 1 FROM email_relay_worker WHERE idle_until > now()"
LISTENING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN email_relay'"


@fault("PostgreSQL restarts under runrelay", own_postgres=True, LEASE_SECONDS=LEASE)
def restarted_under_runrelay(site: Installation) -> None:
    site.fill()
    with site.relay() as relay:
        _restart_twice(site)
        _goes_on(site, relay)


@fault("PostgreSQL restarts under the worker", own_postgres=True, LEASE_SECONDS=LEASE)
def restarted_under_the_worker(site: Installation) -> None:
    with site.workers("one") as [worker]:
        site.fill()
        _restart_twice(site)
        _goes_on(site, worker)


def _restart_twice(site: Installation) -> None:
    """A crash, and later an orderly restart."""
    assert site.place.postgres is not None
    for done, mode in ((20, "immediate"), (60, "fast")):
        site.in_the_middle(done)
        site.place.postgres.down(mode)
        site.place.postgres.up()


@fault("PostgreSQL restarts while runrelay is idle", own_postgres=True, EMPTY_QUEUE_SLEEP=60)
def restarted_while_idle(site: Installation) -> None:
    """The pause is so long that only a notification can have woken it."""
    with site.relay() as relay:
        _restart_while_idle(site)
        _goes_on(site, relay, timeout=45)


@fault("PostgreSQL restarts while the worker is idle", own_postgres=True, EMPTY_QUEUE_SLEEP=60)
def restarted_while_the_worker_is_idle(site: Installation) -> None:
    with site.workers("one", beat=False) as [worker]:
        _restart_while_idle(site)
        _goes_on(site, worker, timeout=45)


def _restart_while_idle(site: Installation) -> None:
    assert site.place.postgres is not None
    wait_until(lambda: site.execute(IDLE), 60, "an idle relay")
    site.place.postgres.down()
    site.place.postgres.up()
    wait_until(lambda: site.execute(LISTENING), 60, "the listener to come back")
    wait_until(lambda: site.execute(IDLE), 60, "an idle relay")
    site.fill()


@fault("a storm of pg_terminate_backend", LEASE_SECONDS=LEASE)
def connections_killed(site: Installation) -> None:
    with _runrelay_and_worker(site) as (relay, worker):
        site.fill()
        site.in_the_middle(10)
        for _ in range(STORM):
            site.administer(TERMINATE.format(site.database))
            time.sleep(0.05)
        _goes_on(site, relay, worker)


@fault("a database that is read-only for a while", LEASE_SECONDS=LEASE)
def read_only(site: Installation) -> None:
    """Once with mail in hand, and once with nothing to do."""
    with _runrelay_and_worker(site) as (relay, worker):
        site.fill()
        site.in_the_middle(10)
        with no_writes(site):
            relay.wait_ready("InternalError")
            worker.wait_ready("InternalError")
        site.wait_until_all_sent(relay, worker)
        with no_writes(site):
            relay.wait_ready("relay database trouble (InternalError)")
        site.fill(20)
        _goes_on(site, relay, worker)


@contextmanager
def no_writes(site: Installation) -> Iterator[None]:
    site.administer(f'ALTER DATABASE "{site.database}" SET default_transaction_read_only = on')
    site.administer(TERMINATE.format(site.database))
    yield
    site.administer(f'ALTER DATABASE "{site.database}" RESET default_transaction_read_only')


@fault("a migration's lock while relays record", LEASE_SECONDS=LEASE)
def locked_at_settle(site: Installation) -> None:
    with _runrelay_and_worker(site) as (relay, worker):
        site.fill()
        site.in_the_middle(10)
        with locked(site):
            wait_until(lambda: _waits(site, "email_relay_settle"), 60, "a relay that waits to record")
            time.sleep(2)
        _goes_on(site, relay, worker)


@fault("a migration's lock while relays claim", LEASE_SECONDS=LEASE)
def locked_at_claim(site: Installation) -> None:
    with _runrelay_and_worker(site) as (relay, worker):
        site.fill()
        with locked(site):
            wait_until(lambda: _waits(site, "email_relay_claim"), 60, "a relay that waits to claim")
            time.sleep(2)
        _goes_on(site, relay, worker)


@fault("SIGTERM while a migration holds its lock", LEASE_SECONDS=LEASE)
def told_to_stop_while_locked(site: Installation) -> None:
    """What nobody has in hand keeps no relay from ending."""
    with _runrelay_and_worker(site) as (relay, worker):
        wait_until(lambda: site.execute(IDLE), 60, "an idle relay")
        with locked(site):
            wait_until(lambda: _waiting(site) > 1, 60, "both to wait for the table")
            for process in (relay, worker):
                process.send_group(signal.SIGTERM)
            for process in (relay, worker):
                assert process.wait(GRACE_SECONDS) == 0, process.tail()
    site.fill()
    with site.relay() as successor:
        _goes_on(site, successor)


def _waiting(site: Installation) -> int:
    return sum("email_relay_claim" in query for (query,) in site.execute(WAITING))


def _waits(site: Installation, word: str) -> bool:
    return any(word in query for (query,) in site.execute(WAITING))


@contextmanager
def locked(site: Installation) -> Iterator[None]:
    connection = postgres.connect(site.url)
    try:
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE email_relay_message IN ACCESS EXCLUSIVE MODE")
        yield
        cursor.execute("COMMIT")
    finally:
        connection.close()


@contextmanager
def _runrelay_and_worker(site: Installation) -> Iterator[list[Process]]:
    with site.workers("one") as [worker], site.relay() as relay:
        relay.wait_ready("relay started")
        yield [relay, worker]


def _goes_on(site: Installation, *processes: Process, timeout: float = 120) -> None:
    site.wait_until_all_sent(*processes, timeout=timeout)
    end_well(processes)
    assert not site.charged(), "the trouble was charged to messages"


FAULTS = (
    restarted_under_runrelay,
    restarted_under_the_worker,
    restarted_while_idle,
    restarted_while_the_worker_is_idle,
    connections_killed,
    read_only,
    locked_at_settle,
    locked_at_claim,
    told_to_stop_while_locked,
)
