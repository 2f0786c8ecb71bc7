"""The hook for counting: what is told, and that a listener can break nothing."""

from __future__ import annotations

import pytest

from email_relay.relay.observers import observers
from tests.relay.rows import queued

pytestmark = pytest.mark.django_db(transaction=True)


class Listener:
    def __init__(self) -> None:
        self.steps, self.recordings = [], []

    def took(self, step, seconds, *, server, succeeded):
        self.steps.append((step, succeeded))

    def recorded(self, verdict, *, server, now):
        self.recordings.append((verdict.status.name, verdict.message.id))

    def beat(self, result):
        raise NotImplementedError


class Broken:
    def __getattr__(self, name):
        raise RuntimeError("secret words")


@pytest.fixture
def listener():
    listener = Listener()
    observers.append(listener)
    yield listener
    observers.remove(listener)


def test_a_drain_tells_its_steps_and_each_verdict(listener, run):
    message = queued()
    assert run().sent == 1
    assert listener.recordings == [("SENT", message.id)]
    assert {step for step, succeeded in listener.steps if succeeded} == {"connect", "claim", "settle"}


def test_a_listener_that_breaks_stops_no_mail_and_is_not_quoted(run, caplog):
    broken = Broken()
    observers.append(broken)
    try:
        queued()
        assert run().sent == 1
    finally:
        observers.remove(broken)
    assert "an observer broke: RuntimeError" in caplog.text
    assert "secret words" not in caplog.text
