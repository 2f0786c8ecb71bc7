"""The failure hooks and Sentry, as the documentation says to set them up, in a real worker."""

from __future__ import annotations

import pytest

from tests.docs.pages import blocks
from tests.e2e.service import Service
from tests.support import sentry
from tests.support.databases import execute_postgresql
from tests.support.waiting import wait_until

HOOKED, HOOKS, SENTRY = [
    block.body
    for block in blocks("python")
    if block.page.name == "monitor.md" and block.body.startswith(("# relay_site.py", "# relay_hooks.py"))
]
AT_ONCE = """

from celery.schedules import schedstate, schedule


class AtOnce(schedule):
    def is_due(self, last_run_at):
        return schedstate((self.now() - last_run_at).total_seconds() >= 1, 1.0)


CELERY_BEAT_SCHEDULE = {"purge": {"task": "email_relay.purge", "schedule": AtOnce(300)}}
"""
"""Beat's first stroke is a pause after its start: too long for a test."""
QUOTING = "ALTER TABLE email_relay_message ADD CONSTRAINT no_lease CHECK (status <> 5) NOT VALID"
"""From here on no drain can claim, and the database's error quotes the row."""


@pytest.fixture
def service(tmp_path, postgresql_database, filesystem_broker, smtp_server):
    """An installation whose server defers one recipient and refuses another, and names them."""
    service = Service(
        tmp_path,
        postgresql_database,
        filesystem_broker,
        smtp_server,
        DJANGO_SETTINGS_MODULE="relay_site",
        PYTHONPATH=tmp_path,
    )
    smtp_server.script.on_rcpt = {
        "to0@example.com": "450 4.2.0 to0@example.com is full",
        "to1@example.com": "550 5.1.1 no to1@example.com here",
    }.get
    return service


def test_the_hooks_of_the_page_hear_of_what_was_deferred_and_failed(service):
    (service.folder / "relay_site.py").write_text(HOOKED)
    (service.folder / "relay_hooks.py").write_text(HOOKS)
    service.migrate()
    service.clients("shop", count=3)
    with service.worker() as worker:
        assert "mail 1 of shop, tried again at 20" in worker.wait_ready("relay_hooks mail 1 ")
        assert "mail 2 of shop, given up" in worker.wait_ready("relay_hooks mail 2 ")
        worker.terminate()
    assert "relay_hooks mail 3" not in worker.output


@pytest.mark.slow
def test_sentry_gets_events_and_check_ins_without_mail_or_address(service):
    pytest.importorskip("sentry_sdk")
    with sentry.serving() as server:
        (service.folder / "relay_site.py").write_text(SENTRY + AT_ONCE)
        service.env["SENTRY_DSN"] = server.dsn
        service.migrate()
        service.clients("shop", count=3)
        with service.worker() as worker:
            wait_until(lambda: failures(server), 60, lambda: f"the event of a failed mail:\n{worker.tail()}")
            wait_until(lambda: finished(server), 60, lambda: f"a check-in:\n{worker.tail()}")
            execute_postgresql(service.url, QUOTING)
            service.clients("shop", count=1)
            wait_until(lambda: broken_drains(server), 60, lambda: f"the event of a broken task:\n{worker.tail()}")
            worker.terminate()
    for word in ("@example.com", "plain 0", "html 1", "Grüße", "größer", "text\\n"):
        assert not [envelope for envelope in server.envelopes if word in envelope], word


def failures(server: sentry.Sentry) -> list[dict]:
    return [event for event in server.items("event") if event.get("logger") == "email_relay.relay"]


def broken_drains(server: sentry.Sentry) -> list[dict]:
    return [
        event
        for event in server.items("event")
        if event.get("transaction") == "email_relay.drain" and "exception" in event
    ]


def finished(server: sentry.Sentry) -> list[dict]:
    return [one for one in server.items("check_in") if one["monitor_slug"] == "purge" and one["status"] == "ok"]
