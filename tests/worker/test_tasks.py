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


@pytest.mark.django_db(transaction=True)
def test_p13_a_drain_returns_counts_and_never_content(settings, smtp_server):
    from email_relay.models import Message
    from email_relay.relay import engine
    from relay_worker import tasks

    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = smtp_server.host, smtp_server.port
    engine._engine = None
    Message.objects.create(
        data={"subject": "secret"},
        mime=b"Subject: secret\r\n\r\nsecret body\r\n",
        envelope_from="a@example.com",
        recipients=["secret@example.com"],
        size=30,
    )
    result = tasks.drain()
    assert (result["sent"], result["deferred"], result["failed"]) == (1, 0, 0)
    assert "secret" not in json.dumps(result)
    assert len(smtp_server.received) == 1
    engine.process_engine().close()
    engine._engine = None
