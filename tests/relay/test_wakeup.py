"""Waking: an insert reaches a relay that sleeps, through lost connections too."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from email_relay.models import Message, Server, Status, Worker
from email_relay.relay import workers
from email_relay.relay.runner import Runner
from email_relay.relay.transport.memory import MemoryTransport
from email_relay.relay.wakeup import Listener, can_listen
from tests.relay.rows import ALIAS, ago, queued
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def needs_notify():
    if not can_listen(ALIAS):
        pytest.skip("this database has no notifications")


@pytest.fixture
def listener(needs_notify):
    woken = threading.Event()
    listener = Listener(ALIAS, woken.set)
    listener.woken = woken
    assert listener.start()
    assert woken.wait(60), "connected"
    woken.clear()
    yield listener
    listener.stop(30)
    assert not listener._thread.is_alive()


def test_an_insert_wakes_an_idle_relay(listener):
    workers.idle(ALIAS, "me:1", 600)
    queued()
    assert listener.woken.wait(60)


def test_while_every_relay_is_busy_inserts_notify_nobody(listener):
    workers.busy(ALIAS, "me:1")
    queued()
    assert not listener.woken.wait(1.5)


def test_a_connection_that_is_killed_is_made_anew(listener):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query = 'LISTEN email_relay' AND pid <> pg_backend_pid()"
        )
        assert cursor.rowcount >= 1
    assert listener.woken.wait(60), "one may have been missed meanwhile"
    listener.woken.clear()
    workers.idle(ALIAS, "me:1", 600)
    queued()
    assert listener.woken.wait(60)


def test_where_the_database_cannot_notify_the_owner_polls():
    if can_listen(ALIAS):
        pytest.skip("this database notifies")
    assert not Listener(ALIAS, lambda: None).start()


@pytest.fixture
def runner(engines):
    """A relay in a thread, stopped at the end."""
    started = []

    def start(transport, **settings):
        runner = Runner(engines(transport, **settings))
        thread = threading.Thread(target=work, args=(runner,), daemon=True)
        thread.start()
        started.append((runner, thread))
        return runner

    def work(runner):
        try:
            runner.run()
        finally:
            connection.close()

    yield start
    for runner, thread in started:
        runner.stop()
        thread.join(60)
        assert not thread.is_alive()


def sent():
    return Message.objects.filter(status=Status.SENT).count()


def test_the_relay_sends_at_once_what_comes_while_it_sleeps(runner, needs_notify):
    runner(MemoryTransport(), EMPTY_QUEUE_SLEEP=3600)
    wait_until(lambda: Worker.objects.filter(idle_until__gt=ago(0)).exists(), 60, "the relay to be idle")
    queued()
    wait_until(lambda: sent() == 1, 60, "the message to be sent")
    queued()
    wait_until(lambda: sent() == 2, 60, "the second, by the same sleep")


def test_what_was_written_while_the_relay_was_busy_and_committed_while_it_sleeps_wakes_it(runner, needs_notify):
    delivering, go_on = threading.Event(), threading.Event()

    def slowly(_parcel, _to):
        delivering.set()
        go_on.wait(60)

    queued()
    runner(MemoryTransport(slowly), EMPTY_QUEUE_SLEEP=3600)
    assert delivering.wait(60)
    wait_until(lambda: Worker.objects.filter(busy=True).exists(), 60, "the relay to say that it is busy")
    with transaction.atomic():
        queued()
        go_on.set()
        other = connection.copy()
        wait_until(lambda: idle_by(other), 60, "the relay to be idle")
        other.close()
    wait_until(lambda: sent() == 2, 60, "the message that was committed late")


def idle_by(other):
    """Whether a relay has declared itself idle, seen from outside of the open transaction."""
    with other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM email_relay_worker WHERE idle_until > now()")
        return cursor.fetchone()[0] > 0


def test_p8_without_notifications_it_polls(runner):
    runner(MemoryTransport(), EMPTY_QUEUE_SLEEP=0.2)
    queued()
    wait_until(lambda: sent() == 1, 60, "the message to be sent")


def test_p6_the_relay_probes_by_itself_and_drains_when_the_server_is_back(runner):
    queued()
    transport = MemoryTransport(down="refused")
    runner(transport, EMPTY_QUEUE_SLEEP=0.2)
    wait_until(lambda: Server.objects.filter(opened_at__isnull=False).exists(), 60, "the circuit to open")
    transport.down = ""
    Server.objects.update(probe_at=ago(1))
    wait_until(lambda: sent() == 1, 60, "the message to be sent")


def test_it_signs_off(engines):
    runner = Runner(engines())
    runner.stop()
    runner.run()
    assert not Worker.objects.exists()


def test_once_drains_and_ends(engines):
    queued()
    assert Runner(engines()).once().sent == 1
