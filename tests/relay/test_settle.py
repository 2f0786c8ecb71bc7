"""Settling: what is recorded, only under the lease, and nothing besides."""

from __future__ import annotations

from datetime import timedelta

import pytest

from email_relay.models import Attempt, Message, Status
from email_relay.relay.outcomes import Verdict, failed
from email_relay.relay.settle import settle
from email_relay.relay.transport.base import Reply
from tests.relay.rows import ALIAS, SERVER, ago, claimed, lapse, queued

pytestmark = pytest.mark.django_db


def sent(message, **values):
    replies = {to: Reply(250, "Ok") for to in message.owed}
    given = {
        "log": "250 Ok",
        "queue_id": "Q1",
        "replies": replies,
        "final": Reply(250, "Ok"),
        "retry_count": message.retry_count,
        "refused": message.refused,
    }
    return Verdict(message, Status.SENT, **{**given, **values})


def deferred(message, **values):
    given = {
        "log": "451 later",
        "pending": list(message.owed),
        "retry_count": message.retry_count + 1,
        "due_at": ago(-60),
        "replies": {to: Reply(451, "later") for to in message.owed},
        "final": Reply(451, "later"),
    }
    return Verdict(message, Status.DEFERRED, **{**given, **values})


def record(*verdicts, **options):
    return settle(ALIAS, verdicts, worker="me:1", server=SERVER, **options)


def test_what_was_accepted_at_once_is_sent_and_needs_no_attempt():
    message = queued()
    assert record(*map(sent, claimed())) == {message.id}
    message.refresh_from_db()
    assert (message.status, message.worker, message.queue_id, message.log) == (Status.SENT, "me:1", "Q1", "250 Ok")
    assert (message.lease_token, message.lease_until) == (None, None)
    assert message.sent_at is not None
    assert not Attempt.objects.exists()


def test_p3_what_was_deferred_keeps_whom_it_owes_and_waits():
    message = queued(recipients=["a@example.com", "b@example.com"])
    [mine] = claimed()
    record(deferred(mine, pending=["b@example.com"], refused={"c@example.com": "550 who"}))
    message.refresh_from_db()
    assert (message.status, message.pending, message.refused) == (
        Status.DEFERRED,
        ["b@example.com"],
        {"c@example.com": "550 who"},
    )
    assert (message.retry_count, message.worker) == (1, None)
    assert message.due_at > ago(0)


def test_an_attempt_says_what_each_recipient_was_told():
    queued(recipients=["a@example.com", "b@example.com"])
    [mine] = claimed()
    replies = {"a@example.com": Reply(250, "Ok"), "b@example.com": Reply(451, "later", "4.3.0")}
    record(deferred(mine, replies=replies, final=replies["b@example.com"], seconds=2.0))
    attempt = Attempt.objects.get()
    assert attempt.results == {"a@example.com": "250 Ok", "b@example.com": "451 4.3.0 later"}
    assert (attempt.number, attempt.outcome, attempt.code, attempt.enhanced) == (1, "deferred", 451, "4.3.0")
    assert (attempt.worker, attempt.server) == ("me:1", SERVER)
    assert attempt.finished_at - attempt.started_at == timedelta(seconds=2)


def test_what_is_failed_without_an_attempt_writes_none():
    message = queued()
    [mine] = claimed()
    record(failed(mine, "expired"))
    message.refresh_from_db()
    assert (message.status, message.log, message.worker) == (Status.FAILED, "expired", "me:1")
    assert not Attempt.objects.exists()


def test_p2_a_lost_lease_leaves_the_row_untouched():
    lost, held = queued(), queued()
    mine = {message.id: message for message in claimed()}
    Message.objects.filter(id=lost.id).update(lease_token="x" * 32)
    assert record(*map(sent, mine.values())) == {held.id}
    lost.refresh_from_db()
    assert (lost.status, lost.lease_token, lost.sent_at) == (Status.SENDING, "x" * 32, None)


def test_p2_a_lost_lease_writes_no_attempt_either():
    queued()
    [mine] = claimed()
    lapse()
    Message.objects.update(lease_token="x" * 32)
    assert record(deferred(mine)) == set()
    assert not Attempt.objects.exists()


def test_a_mixed_batch_is_recorded_as_a_whole():
    for _ in range(3):
        queued()
    first, second, third = claimed()
    assert record(sent(first), deferred(second), failed(third, "no")) == {first.id, second.id, third.id}
    states = dict(Message.objects.values_list("id", "status"))
    assert states == {first.id: Status.SENT, second.id: Status.DEFERRED, third.id: Status.FAILED}


def test_a_success_after_retries_keeps_its_history():
    queued(retry_count=2)
    record(*map(sent, claimed()))
    assert Attempt.objects.get().number == 3


def test_retention_zero_deletes_what_was_sent_and_nothing_else():
    first, second = queued(), queued()
    mine = {message.id: message for message in claimed()}
    record(sent(mine[first.id]), deferred(mine[second.id]), delete_sent=True)
    assert list(Message.objects.values_list("id", flat=True)) == [second.id]


def test_p1_retention_zero_deletes_nothing_that_another_relay_holds():
    message = queued()
    [late] = claimed(worker="late:1")
    lapse()
    assert claimed() + claimed()
    assert record(sent(late), delete_sent=True) == set()
    message.refresh_from_db()
    assert message.status == Status.SENDING


def test_p5_a_deferral_forgets_lapses():
    """Five relays in a row, not in all: its relay lived through this attempt."""
    message = queued(lapse_count=2)
    record(*map(deferred, claimed()))
    message.refresh_from_db()
    assert message.lapse_count == 0


@pytest.mark.parametrize("evil", ["nul \0 inside", "surrogate \udc80 inside", "x" * 5000])
def test_p5_text_that_no_database_takes_is_recorded_all_the_same(evil):
    first, second = queued(), queued()
    mine = claimed()
    record(failed(mine[0], evil), sent(mine[1], log=evil, queue_id=evil))
    first.refresh_from_db()
    second.refresh_from_db()
    assert {first.status, second.status} == {Status.FAILED, Status.SENT}


def test_the_retry_count_stays_within_its_column():
    message = queued(retry_count=32767)
    [mine] = claimed()
    record(deferred(mine)._replace(retry_count=32768))
    message.refresh_from_db()
    assert message.retry_count == 32767


def test_p5_a_verdict_the_database_refuses_fails_alone(caplog):
    """Its neighbours are recorded; it is left to its lease, and the drain goes on."""
    good, bad, other = queued(), queued(), queued(retry_count=1)
    mine = {message.id: message for message in claimed()}
    refused = deferred(mine[bad.id])._replace(retry_count=-1)
    assert record(sent(mine[good.id]), refused, sent(mine[other.id])) == {good.id, other.id}
    assert dict(Message.objects.values_list("id", "status"))[bad.id] == Status.SENDING
    assert f"cannot record id={bad.id}: " in caplog.text
