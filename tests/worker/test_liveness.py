"""What the health check of a container asks its own process."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from email_relay.models import Worker
from email_relay.relay import workers
from relay_worker import liveness
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
