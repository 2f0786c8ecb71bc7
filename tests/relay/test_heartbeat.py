"""The heartbeat against a real HTTP server."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from email_relay.conf import RelaySettings
from email_relay.models import Server, Worker
from email_relay.relay import heartbeat
from tests.relay.rows import ALIAS, SERVER, ago, queued
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db


class Switch(ThreadingHTTPServer):
    """A dead man's switch that keeps (method, path, body), answers by script, and may hang."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests, self.status, self.location = [], 200, ""
        self.hang, self.release = False, threading.Event()

    def handle_error(self, request, client_address):
        """A client that gave up is no news."""

    def url(self, path="/ping"):
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.requests.append((self.command, self.path, body))
        if self.server.hang:
            self.server.release.wait(120)
        moved = self.server.location and self.path != self.server.location
        self.send_response(302 if moved else self.server.status)
        if moved:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_HEAD = do_PUT = answer  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def switch():
    pytest.importorskip("httpx")
    server = Switch()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    server.server_close()
    thread.join(10)


def beat(switch, worker="me:1", **settings):
    given = {"RELAY_HEALTHCHECK_URL": switch.url(), "RELAY_HEALTHCHECK_TIMEOUT": 30, **settings}
    return heartbeat.beat(ALIAS, worker, RelaySettings(**given))


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
def test_it_pings_by_the_method_of_the_settings(switch, method):
    assert beat(switch, RELAY_HEALTHCHECK_METHOD=method).result == "sent"
    assert switch.requests == [(method, "/ping", "")]


def test_without_a_url_nothing_is_done():
    assert heartbeat.beat(ALIAS, "me:1", RelaySettings()).result == "off"


def test_the_status_code_must_be_that_of_the_settings(switch):
    switch.status = 204
    assert beat(switch).result == "failed"


def test_another_status_code_may_be_expected(switch):
    switch.status = 204
    assert beat(switch, RELAY_HEALTHCHECK_STATUS_CODE=204).result == "sent"


def test_redirects_are_followed(switch):
    switch.location = "/moved"
    assert beat(switch).result == "sent"
    assert [path for _, path, _ in switch.requests] == ["/ping", "/moved"]


@pytest.mark.parametrize("timeout", [30, (30, 30), (None, 30), (30, None)])
def test_time_outs_may_be_pairs(switch, timeout):
    assert beat(switch, RELAY_HEALTHCHECK_TIMEOUT=timeout).result == "sent"


@pytest.mark.parametrize("timeout", [0.1, (30, 0.1)])
def test_a_server_that_hangs_is_left(switch, timeout):
    switch.hang = True
    assert beat(switch, RELAY_HEALTHCHECK_TIMEOUT=timeout) == heartbeat.BeatReport("failed", "ReadTimeout")


def test_a_server_that_is_gone_is_no_error(switch):
    url = switch.url()
    switch.socket.close()
    assert heartbeat.beat(ALIAS, "me:1", RelaySettings(RELAY_HEALTHCHECK_URL=url)).result == "failed"


def test_one_ping_in_a_pause_over_all_relays(switch):
    assert beat(switch, "a:1").result == "sent"
    assert beat(switch, "a:1").result == "too soon"
    assert beat(switch, "b:1").result == "too soon"
    Worker.objects.update(heartbeat_at=ago(60))
    assert beat(switch, "b:1").result == "sent"


def test_the_result_is_kept_for_the_operator(switch):
    switch.status = 500
    beat(switch)
    assert Worker.objects.get().heartbeat_result == "failed status 500"


def test_p6_while_the_circuit_is_open_it_is_withheld(switch):
    Server.objects.create(name=SERVER, opened_at=ago(9), last_error="refused")
    report = beat(switch)
    assert report.result == "withheld"
    assert "refused" in report.detail
    assert switch.requests == []


def test_while_the_oldest_due_message_is_too_old_it_is_withheld(switch):
    queued(due_at=ago(7200))
    assert beat(switch).result == "withheld"


def test_a_message_that_waits_for_its_time_is_no_trouble(switch):
    queued(due_at=ago(-7200))
    assert beat(switch).result == "sent"


def test_trouble_goes_to_the_failure_url(switch):
    queued(due_at=ago(7200))
    assert beat(switch, RELAY_HEALTHCHECK_FAILURE_URL=switch.url("/trouble")).result == "failure sent"
    assert switch.requests[0][:2] == ("GET", "/trouble")


def test_healthchecks_io_gets_fail_and_a_reason(switch):
    queued(due_at=ago(7200))
    assert beat(switch, RELAY_HEALTHCHECK_STYLE="healthchecks.io").result == "failure sent"
    [(method, path, body)] = switch.requests
    assert (method, path) == ("POST", "/ping/fail")
    assert "oldest" in body


def test_healthchecks_io_gets_a_summary_and_may_answer_201(switch):
    switch.status = 201
    queued()
    assert beat(switch, RELAY_HEALTHCHECK_STYLE="healthchecks.io").result == "sent"
    assert "queued=1" in switch.requests[0][2]


@pytest.mark.django_db(transaction=True)
def test_a_ping_that_hangs_never_holds_up_the_mail(switch, run):
    switch.hang = True
    settings = RelaySettings(RELAY_HEALTHCHECK_URL=switch.url(), RELAY_HEALTHCHECK_TIMEOUT=60)
    queued()
    with heartbeat.Pacemaker(ALIAS, "me:1", settings) as pacemaker:
        wait_until(lambda: switch.requests, 60, "the ping")
        assert run().sent == 1
        switch.release.set()
    pacemaker._thread.join(60)
    assert not pacemaker._thread.is_alive()


@pytest.mark.django_db(transaction=True)
def test_the_pacemaker_beats_again_and_again(switch):
    settings = RelaySettings(RELAY_HEALTHCHECK_URL=switch.url(), EMPTY_QUEUE_SLEEP=0.1)
    with heartbeat.Pacemaker(ALIAS, "me:1", settings) as pacemaker:
        wait_until(lambda: len(switch.requests) >= 3, 60, "three pings")
    pacemaker._thread.join(60)


def test_p12_a_url_without_the_library_says_what_to_install(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "httpx", None)
    settings = RelaySettings(RELAY_HEALTHCHECK_URL="http://127.0.0.1:9/ping")
    assert heartbeat.beat(ALIAS, "me:1", settings).result == "failed"
    assert "django-email-relay[hc]" in caplog.text
