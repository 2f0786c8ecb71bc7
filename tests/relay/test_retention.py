"""Retention: what has ended goes by its age, and nothing else ever does."""

from __future__ import annotations

import pytest

from email_relay.conf import RelaySettings
from email_relay.models import Attempt, Message, Status
from email_relay.relay import retention
from tests.relay.rows import ALIAS, ago, queued, sending

pytestmark = pytest.mark.django_db
DAY = 24 * 60 * 60


def sent(age, **columns):
    return queued(status=Status.SENT, worker="w", sent_at=ago(age), **columns)


def ended(status, age):
    message = queued(status=status, worker="w" if status == Status.FAILED else None)
    Message.objects.filter(id=message.id).update(updated_at=ago(age))
    return message


def purge(**settings):
    return retention.purge(ALIAS, RelaySettings(**settings)).as_dict()


def left():
    return set(Message.objects.values_list("id", flat=True))


def test_by_default_everything_is_kept():
    sent(1000 * DAY)
    ended(Status.FAILED, 1000 * DAY)
    assert purge() == {"sent": 0, "failed": 0, "bodies": 0}
    assert len(left()) == 2


def test_sent_mail_goes_by_its_age():
    _old, young = sent(2 * DAY), sent(DAY / 2)
    assert purge(MESSAGES_RETENTION_SECONDS=DAY)["sent"] == 1
    assert left() == {young.id}


def test_failed_and_canceled_mail_has_an_age_of_its_own():
    ended(Status.FAILED, 2 * DAY)
    ended(Status.CANCELED, 2 * DAY)
    young = ended(Status.FAILED, DAY / 2)
    assert purge(FAILED_RETENTION_SECONDS=DAY)["failed"] == 2
    assert left() == {young.id}


def test_p1_what_waits_is_never_purged_however_old():
    waiting = [queued(), queued(status=Status.DEFERRED), queued(status=Status.HELD), sending(60)]
    Message.objects.update(updated_at=ago(1000 * DAY), created_at=ago(1000 * DAY), due_at=ago(1000 * DAY))
    purge(MESSAGES_RETENTION_SECONDS=0, FAILED_RETENTION_SECONDS=0, BODY_RETENTION_SECONDS=0)
    assert left() == {message.id for message in waiting}
    assert not Message.objects.filter(mime=None).exists()


def test_attempts_go_with_their_message():
    old, young = sent(2 * DAY), sent(1)
    for message in (old, young):
        Attempt.objects.create(message=message, number=1, started_at=ago(9), finished_at=ago(8), outcome="sent")
    purge(MESSAGES_RETENTION_SECONDS=DAY)
    assert list(Attempt.objects.values_list("message_id", flat=True)) == [young.id]


def test_many_go_in_bounded_batches(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 3)
    for _ in range(10):
        sent(2 * DAY)
    assert purge(MESSAGES_RETENTION_SECONDS=DAY)["sent"] == 10


def test_one_purge_ends_after_so_many_batches_and_the_next_goes_on(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "MOST_BATCHES", 2)
    for _ in range(6):
        sent(2 * DAY)
    assert [purge(MESSAGES_RETENTION_SECONDS=DAY)["sent"] for _ in range(3)] == [4, 2, 0]


def test_bodies_may_go_before_the_rows():
    old, young, failed = sent(2 * DAY), sent(1), ended(Status.FAILED, 2 * DAY)
    assert purge(BODY_RETENTION_SECONDS=DAY)["bodies"] == 1
    assert set(Message.objects.filter(mime=None).values_list("id", flat=True)) == {old.id}
    assert left() == {old.id, young.id, failed.id}


def test_zero_purges_what_an_earlier_setting_kept():
    sent(1)
    assert purge(MESSAGES_RETENTION_SECONDS=0)["sent"] == 1


def test_an_empty_table_is_purged_of_nothing():
    everything = {"MESSAGES_RETENTION_SECONDS": 0, "FAILED_RETENTION_SECONDS": 0, "BODY_RETENTION_SECONDS": 0}
    assert purge(**everything) == {"sent": 0, "failed": 0, "bodies": 0}
