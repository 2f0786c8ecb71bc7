"""Keeping: what is recorded, returned and renewed, and when."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from email_relay.models import Message, Status, Suppression
from email_relay.relay import keeping
from email_relay.relay.gate import Passage
from email_relay.relay.hand import Hand
from email_relay.relay.keeping import keep
from email_relay.relay.outcomes import Verdict
from email_relay.relay.report import DrainReport
from email_relay.relay.transport.base import Reply
from tests.relay.rows import claimed, queued
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db
NOW = datetime(2030, 1, 1, tzinfo=timezone.utc)
GONE = Reply(550, "no such user", "5.1.1")


def refused(message):
    replies = dict.fromkeys(message.owed, GONE)
    return Verdict(message, Status.FAILED, log="550", replies=replies, final=GONE, refused={"a": "550"})


def holding(*, verdicts=(), returns=(), out=()):
    hand = Hand()
    hand.take(Passage(message, None) for message in out)
    for verdict in verdicts:
        hand.judged(verdict)
    hand.returns.extend(returns)
    return hand


def test_nothing_is_written_before_it_is_due(engines, django_assert_num_queries):
    """A verdict waits a little for others, and a lease is renewed when a third of it is gone."""
    queued()
    queued()
    one, other = claimed()
    hand, engine = holding(out=[one], verdicts=[refused(other)]), engines()
    hand._oldest += 3600
    with django_assert_num_queries(0):
        keep(engine, hand, DrainReport(), NOW)
    one.lease.started -= one.lease.seconds / 2

    def kept():
        keep(engine, hand, DrainReport(), NOW)
        return not one.lease.aging()

    wait_until(kept, 60, "the lease to be renewed")


def test_what_is_given_back_is_counted_over_the_whole_drain_and_once(engines):
    queued()
    queued()
    hand, report = holding(returns=claimed()), DrainReport(returned=5)
    for _ in range(2):
        keep(engines(), hand, report, NOW)
    assert (report.returned, hand.returns) == (7, [])
    assert not Message.objects.exclude(status=Status.QUEUED).exists()


def test_p2_what_was_not_recorded_is_told_to_nobody(engines, monkeypatch, caplog):
    """Another relay has the message, and tells how it ended there."""
    announced = []
    monkeypatch.setattr(keeping, "announce", lambda verdicts, *_: announced.extend(verdicts))
    lost, kept = queued(recipients=["lost@example.com"]), queued(recipients=["gone@example.com"])
    mine = {message.id: message for message in claimed()}
    Message.objects.filter(id=lost.id).update(lease_token="x" * 32)
    report = DrainReport()
    hand = holding(verdicts=[refused(mine[lost.id]), refused(mine[kept.id])])
    keep(engines(SUPPRESS_UNKNOWN_USERS=True), hand, report, NOW)
    assert [verdict.message.id for verdict in announced] == [kept.id]
    assert (report.failed, hand.verdicts) == (1, [])
    assert [listed.pattern for listed in Suppression.objects.all()] == ["gone@example.com"]
    assert f"lease lost id={lost.id}" in caplog.text
