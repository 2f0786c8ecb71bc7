"""The operator's verbs: legal steps of the state machine and no others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from email_relay import queue
from email_relay.models import Message, Status

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
LEGAL = {
    "requeue": {Status.FAILED: Status.QUEUED, Status.CANCELED: Status.QUEUED},
    "send_now": {Status.QUEUED: Status.QUEUED, Status.DEFERRED: Status.DEFERRED},
    "hold": {Status.QUEUED: Status.HELD, Status.DEFERRED: Status.HELD},
    "release": {Status.HELD: Status.QUEUED},
    "cancel": {Status.QUEUED: Status.CANCELED, Status.DEFERRED: Status.CANCELED, Status.HELD: Status.CANCELED},
}


def message(status: Status, **columns: Any) -> Message:
    """A message in that state, due in an hour."""
    now = timezone.now()
    state: dict[str, Any] = {"due_at": now + HOUR, "ready_at": now - HOUR}
    if status == Status.SENDING:
        state.update(lease_token="t" * 32, lease_until=now + HOUR, worker="w")
    if status in (Status.SENT, Status.FAILED):
        state.update(worker="w", sent_at=now if status == Status.SENT else None)
    state.update(columns)
    return Message.objects.create(
        data={"format": 2}, mime=b"x\r\n", recipients=["a@x.org", "b@x.org", "c@x.org"], status=status, **state
    )


def lapsed(**columns: Any) -> Message:
    return message(Status.SENDING, lease_until=timezone.now() - HOUR, **columns)


@pytest.mark.parametrize("verb", LEGAL)
@pytest.mark.parametrize("status", list(Status))
def test_each_verb_makes_its_legal_steps_and_no_other(verb: str, status: Status) -> None:
    row = message(status)
    changed = getattr(queue, verb)(Message.objects.filter(pk=row.pk))
    row.refresh_from_db()
    assert row.status == LEGAL[verb].get(status, status)
    assert changed == int(status in LEGAL[verb])


@pytest.mark.parametrize(
    ("verb", "then"), [("requeue", 1), ("send_now", 1), ("hold", 6), ("cancel", 7), ("release", Status.SENDING)]
)
def test_a_lapsed_lease_counts_as_queued(verb: str, then: int) -> None:
    row = lapsed()
    getattr(queue, verb)(Message.objects.all())
    row.refresh_from_db()
    assert row.status == then
    assert (row.lease_token is None) == (verb != "release")


def test_p3_requeue_tries_the_refused_again_and_never_the_accepted() -> None:
    row = message(Status.FAILED, refused={"b@x.org": "550 no"}, pending=None, retry_count=4, lapse_count=2)
    assert queue.requeue(Message.objects.all()) == 1
    row.refresh_from_db()
    assert (row.pending, row.refused) == (["b@x.org"], None)
    assert (row.retry_count, row.lapse_count, row.worker) == (0, 0, None)


def test_p3_requeue_tries_those_still_owed_too() -> None:
    row = message(Status.FAILED, refused={"b@x.org": "550 no"}, pending=["c@x.org"])
    queue.requeue(Message.objects.all())
    row.refresh_from_db()
    assert sorted(row.pending) == ["b@x.org", "c@x.org"]


def test_requeue_without_refusals_leaves_who_is_owed_alone() -> None:
    everybody, one = message(Status.FAILED), message(Status.FAILED, pending=["c@x.org"])
    assert queue.requeue(Message.objects.all()) == 2
    for row in (everybody, one):
        row.refresh_from_db()
    assert (everybody.pending, one.pending) == (None, ["c@x.org"])


@pytest.mark.parametrize("verb", ["requeue", "send_now"])
def test_what_is_requeued_or_sent_now_is_due(verb: str) -> None:
    row = message(Status.FAILED if verb == "requeue" else Status.QUEUED)
    getattr(queue, verb)(Message.objects.all())
    assert list(Message.objects.claimable()) == [row]


def test_release_forgets_the_time_held_and_keeps_the_state_before() -> None:
    row = message(Status.HELD, retry_count=2)
    queue.release(Message.objects.all())
    row.refresh_from_db()
    assert row.status == Status.DEFERRED
    assert row.ready_at == row.due_at  # an hour from now: its next try
