"""The heartbeat against a real HTTP server."""

from __future__ import annotations

import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.db import OperationalError, connections

from email_relay.conf import RelaySettings
from email_relay.models import Server, Worker
from email_relay.relay import heartbeat
from tests.relay.rows import ALIAS, SERVER, ago, queued
from tests.support.switch import serving
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db


NONE = ("queued", "deferred", "sending", "held", "sent_in_300s", "failed_in_300s")


@pytest.fixture
def switch():
    pytest.importorskip("httpx")
    with serving() as server:
        yield server


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
    start, end = switch.requests
    assert (end[0], split(end)[0]) == ("POST", "/ping/fail")
    assert split(start) == ("/ping/start", split(end)[1])
    assert "oldest" in end[2]


def test_healthchecks_io_gets_a_summary_and_may_answer_201(switch):
    switch.status = 201
    queued()
    assert beat(switch, RELAY_HEALTHCHECK_STYLE="healthchecks.io").result == "sent"
    start, end = switch.requests
    assert (split(start)[0], split(end)[0]) == ("/ping/start", "/ping")
    counts = dict(pair.split("=") for pair in end[2].split())
    assert int(counts.pop("oldest_due_seconds")) > 0
    assert counts == {**dict.fromkeys(NONE, "0"), "queued": "1"}


def test_healthchecks_io_can_tell_one_run_from_the_next(switch):
    for _ in range(2):
        Worker.objects.update(heartbeat_at=None)
        beat(switch, RELAY_HEALTHCHECK_STYLE="healthchecks.io")
    runs = [uuid.UUID(split(request)[1]["rid"]) for request in switch.requests]
    assert runs[0] == runs[1] != runs[2] == runs[3]


def test_healthchecks_io_keeps_the_query_of_its_url(switch):
    url = switch.url("/key/relay/?create=1")
    beat(switch, RELAY_HEALTHCHECK_STYLE="healthchecks.io", RELAY_HEALTHCHECK_URL=url)
    assert [split(request)[0] for request in switch.requests] == ["/key/relay/start", "/key/relay"]
    assert all(split(request)[1]["create"] == "1" for request in switch.requests)


def test_healthchecks_io_gets_five_pings_a_minute_at_most(switch):
    """However short the pause is: a beat is two pings, so the next comes after 24 s or more."""
    style = {"RELAY_HEALTHCHECK_STYLE": "healthchecks.io", "EMPTY_QUEUE_SLEEP": 0.1}
    assert beat(switch, **style).result == "sent"
    Worker.objects.update(heartbeat_at=ago(24))
    assert beat(switch, "other:2", **style).result == "too soon"
    assert len(switch.requests) == 2


def test_p13_what_is_posted_names_no_address(switch):
    Server.objects.create(name=SERVER, opened_at=ago(9), last_error="535 no relay@example.com here")
    beat(switch, RELAY_HEALTHCHECK_STYLE="healthchecks.io")
    assert "535 no …@… here" in switch.requests[1][2]


@pytest.mark.parametrize("style", ["plain", "healthchecks.io"])
def test_without_its_database_it_tells_so_once_a_pause(switch, monkeypatch, style):
    def away(*_):
        raise OperationalError("secret words")

    monkeypatch.setattr(heartbeat, "_first_of_all", away)
    monkeypatch.setattr("email_relay.relay.health.oldest_due_age", away)
    monkeypatch.setattr(heartbeat, "_tried_at", {})
    monkeypatch.setattr(heartbeat.connections[ALIAS], "close", lambda: None)
    given = {"RELAY_HEALTHCHECK_STYLE": style, "RELAY_HEALTHCHECK_FAILURE_URL": switch.url("/trouble")}
    assert [beat(switch, **given).result for _ in range(2)] == ["failure sent", "too soon"]
    assert split(switch.requests[-1])[0] == "/trouble"
    assert not any("secret words" in body for *_, body in switch.requests)


def split(request):
    """Path and query of a request."""
    parts = urlsplit(request[1])
    return parts.path, dict(parse_qsl(parts.query))


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


@pytest.mark.django_db(transaction=True)
def test_relays_that_come_together_ping_once():
    if not connections[ALIAS].features.has_select_for_update:
        pytest.skip("this database locks no rows: relays that come together may both ping")
    together = threading.Barrier(8)

    def take(number):
        together.wait(60)
        try:
            return heartbeat._first(ALIAS, f"relay:{number}", 30)
        finally:
            connections[ALIAS].close()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(take, range(8))).count(True) == 1
