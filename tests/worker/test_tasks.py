"""The tasks: named for Flower, empty of content, scheduled with an end."""

from __future__ import annotations

import json

import pytest

from relay_worker.celery import app
from relay_worker.schedule import beat_schedule


def test_every_entry_of_the_schedule_expires_and_is_a_known_task():
    app.loader.import_default_modules()
    for name, entry in beat_schedule().items():
        assert entry["task"] in app.tasks, name
        assert 0 < entry["options"]["expires"] <= entry["schedule"]


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
    assert tasks.drain()["sent"] == 2
    assert len(drains.received) == 3
