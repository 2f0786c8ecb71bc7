"""The tasks: named for Flower, empty of content, scheduled with an end."""

from __future__ import annotations

import json

import pytest
from django.db import connection

from relay_worker.celery import app
from relay_worker.schedule import CLOCKS_DIFFER_SECONDS, beat_schedule


def test_every_entry_of_the_schedule_is_a_known_task_and_expires_even_where_clocks_differ():
    app.loader.import_default_modules()
    for name, entry in beat_schedule().items():
        assert entry["task"] in app.tasks, name
        assert entry["options"]["expires"] == entry["schedule"] + CLOCKS_DIFFER_SECONDS


@pytest.fixture
def drains(settings, transactional_db, smtp_server):
    """The task's own engine, over SMTP, made anew for the test."""
    from email_relay.relay import engine

    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = smtp_server.host, smtp_server.port
    engine._engine = None
    yield smtp_server
    engine.process_engine().close()
    engine._engine = None


def queued_message() -> None:
    from email_relay.models import Message

    Message.objects.create(
        data={"subject": "secret"},
        mime=b"Subject: secret\r\n\r\nsecret body\r\n",
        envelope_from="a@example.com",
        recipients=["secret@example.com"],
        size=30,
    )


def test_p13_a_drain_returns_counts_and_never_content(drains):
    from relay_worker import tasks

    queued_message()
    result = tasks.drain()
    assert (result["sent"], result["deferred"], result["failed"]) == (1, 0, 0)
    assert "secret" not in json.dumps(result)
    assert len(drains.received) == 1


def test_p8_a_link_that_outlived_its_server_costs_no_wake_up(drains):
    """As after a restart of the database: the first query of the task finds the link broken."""
    from relay_worker import tasks

    if connection.vendor != "postgresql":
        pytest.skip("no other database ends a session by a query of another")
    queued_message()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    other.close()
    assert tasks.drain()["sent"] == 1


def test_email_max_batch_bounds_a_drain_and_its_second_look(drains, settings, monkeypatch):
    """What comes in during a drain that found fewer than its limit waits for the next one."""
    from relay_worker import tasks

    settings.DJANGO_EMAIL_RELAY = {"EMAIL_MAX_BATCH": 2}
    real = tasks.drain_queue

    def drain_while_more_comes_in(*arguments, **options):
        report = real(*arguments, **options)
        for _ in range(2):
            queued_message()
        return report

    monkeypatch.setattr(tasks, "drain_queue", drain_while_more_comes_in)
    queued_message()
    assert tasks.drain()["sent"] == 1
    the_pause_is_over()
    assert tasks.drain()["sent"] == 2
    assert len(drains.received) == 3


def the_pause_is_over():
    from email_relay.models import Server

    Server.objects.update(next_batch_at=None)


@pytest.fixture
def calls(monkeypatch):
    """What is sent to the broker: the task's name and when."""
    from relay_worker import tasks

    sent = []
    for task in (tasks.drain, tasks.dispatch):
        monkeypatch.setattr(task, "apply_async", lambda task=task, **options: sent.append((task.name, options)))
    return sent


def test_email_max_batch_the_next_drain_begins_a_pause_after_the_end_of_the_last(drains, settings, calls):
    """Beat's strokes within the pause find the turn taken; a drain sends for its successor itself."""
    from relay_worker import tasks

    settings.DJANGO_EMAIL_RELAY = {"EMAIL_MAX_BATCH": 1, "EMPTY_QUEUE_SLEEP": 30}
    for _ in range(2):
        queued_message()
    assert tasks.drain()["sent"] == 1
    assert [(name, options["countdown"], options["expires"]) for name, options in calls] == [
        ("email_relay.drain", 30, 60 + CLOCKS_DIFFER_SECONDS)
    ]
    early = tasks.drain()
    assert (early["sent"], early["reason"]) == (0, "between two batches")
    assert len(calls) == 1, "a drain that was refused or found nothing sends for none, or they would become ever more"
    the_pause_is_over()
    assert tasks.drain()["sent"] == 1
    the_pause_is_over()
    assert tasks.drain()["sent"] == 0
    assert len(calls) == 2


def test_p8_a_broker_that_is_away_does_not_break_a_drain_with_a_backlog(drains, monkeypatch, caplog):
    from kombu.exceptions import OperationalError

    from relay_worker import tasks

    def away(**_):
        raise OperationalError("connection refused")

    monkeypatch.setattr(tasks.dispatch, "apply_async", away)
    for _ in range(80):
        queued_message()
    assert tasks.drain()["sent"] == 80
    assert "could not send email_relay.dispatch" in caplog.text
