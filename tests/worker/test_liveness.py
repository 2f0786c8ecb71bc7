"""What the health check of a container asks its own process."""

from __future__ import annotations

import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.db import OperationalError

from email_relay.db import database_now
from email_relay.models import Worker
from email_relay.relay import workers
from relay_worker import liveness
from relay_worker.celery import app
from tests.support.ports import free_port


class Page(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_page_that_answers(site, monkeypatch):
    monkeypatch.setattr(liveness, "WEB", f"http://127.0.0.1:{site.server_port}/healthz")
    assert liveness.web().good


def test_a_page_that_answers_with_an_error(site, monkeypatch):
    monkeypatch.setattr(Page, "status", 500)
    monkeypatch.setattr(liveness, "FLOWER", f"http://127.0.0.1:{site.server_port}/healthcheck")
    assert not liveness.flower().good


def test_a_page_that_nobody_serves(monkeypatch):
    monkeypatch.setattr(liveness, "WEB", f"http://127.0.0.1:{free_port()}/healthz")
    assert not liveness.web().good


@pytest.mark.django_db
def test_a_relay_that_has_signed_on_is_seen_until_it_signs_off():
    assert not liveness.relay().good
    workers.idle("default", workers.worker_name(), 30)
    assert liveness.relay().good
    workers.gone("default", workers.worker_name())
    assert not liveness.relay().good


@pytest.mark.django_db
def test_the_relay_of_another_host_is_not_ours():
    workers.idle("default", "elsewhere:1", 30)
    assert Worker.objects.exists()
    assert not liveness.relay().good


@pytest.mark.django_db
def test_a_relay_that_is_silent_for_long_is_not_seen():
    workers.idle("default", workers.worker_name(), 30)
    Worker.objects.update(seen_at=database_now("default") - timedelta(seconds=workers.SEEN_SECONDS + 1))
    assert not liveness.relay().good


def test_a_database_that_cannot_be_asked_is_said(monkeypatch):
    def away(_):
        raise OperationalError

    monkeypatch.setattr("email_relay.db.database_now", away)
    finding = liveness.relay()
    assert (finding.good, finding.detail) == (False, "the database cannot be asked (OperationalError)")


@pytest.mark.parametrize(("answers", "good"), [([{"celery@host": {"ok": "pong"}}], True), ([], False)])
def test_a_node_is_good_if_it_answers(monkeypatch, answers, good):
    monkeypatch.setattr(app.control, "ping", lambda **_: answers)
    assert liveness.node().good is good


def test_a_broker_that_cannot_be_asked_is_said(monkeypatch):
    def away(**_):
        raise ConnectionRefusedError

    monkeypatch.setattr(app.control, "ping", away)
    finding = liveness.node()
    assert (finding.good, finding.detail) == (False, "the broker cannot be asked (ConnectionRefusedError)")


def test_web_and_flower_are_asked_for_their_own_pages(monkeypatch):
    port = free_port()
    for name in ("WEB", "FLOWER"):
        monkeypatch.setattr(liveness, name, f"http://127.0.0.1:{port}/{name}")
    assert liveness.web().detail.startswith(f"http://127.0.0.1:{port}/WEB ")
    assert liveness.flower().detail.startswith(f"http://127.0.0.1:{port}/FLOWER ")
