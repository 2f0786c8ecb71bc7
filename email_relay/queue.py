"""Every write to the queue that is not the relay's, and the sender's question what became of a message.

The verbs take a queryset of messages, change those for which the step is legal at that moment (see the state machine), in
one conditional UPDATE, and return how many that were. A lapsed lease counts as QUEUED. Each sets ``ready_at``, which is
what wakes an idle relay.
"""

from __future__ import annotations

from typing import Any, Dict

from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Greatest, Least

from email_relay.db import DatabaseNow
from email_relay.delivery_status import DeliveryStatus, status
from email_relay.models import MessageQuerySet, Status
from email_relay.owed import OwedAgain
from email_relay.submission import RelayHandle, enqueue

__all__ = [
    "DeliveryStatus",
    "RelayHandle",
    "cancel",
    "enqueue",
    "hold",
    "release",
    "requeue",
    "send_now",
    "status",
]

NOBODYS: Dict[str, Any] = {"worker": None, "lease_token": None, "lease_until": None}


def requeue(messages: MessageQuerySet) -> int:
    """Try failed and canceled messages anew, as if just queued; and take those whose relay died from it.

    Recipients that were refused are tried again, those that accepted are not (P3).
    """
    afresh = {
        **NOBODYS,
        "status": Status.QUEUED,
        "retry_count": 0,
        "lapse_count": 0,
        "due_at": DatabaseNow(),
        "ready_at": DatabaseNow(),
    }
    ended = Q(status__in=(Status.FAILED, Status.CANCELED))
    again = _change(messages, ended & Q(refused__isnull=False), pending=OwedAgain(), refused=None, **afresh)
    return again + _change(messages, (ended & Q(refused__isnull=True)) | _lapsed(), **afresh)


def send_now(messages: MessageQuerySet) -> int:
    """Make waiting messages due: the scheduled ones, and those that pause after a failure."""
    return _change(
        messages,
        Q(status__in=(Status.QUEUED, Status.DEFERRED)) | _lapsed(),
        **NOBODYS,
        status=Case(When(status=Status.DEFERRED, then=Value(Status.DEFERRED)), default=Value(Status.QUEUED)),
        due_at=DatabaseNow(),
        ready_at=Least(F("ready_at"), DatabaseNow()),
    )


def hold(messages: MessageQuerySet) -> int:
    """Keep waiting messages back until they are released."""
    waiting = Q(status__in=(Status.QUEUED, Status.DEFERRED)) | _lapsed()
    return _change(messages, waiting, **NOBODYS, status=Status.HELD, ready_at=F("ready_at"))


def release(messages: MessageQuerySet) -> int:
    """Let held messages go on. The time they were held does not count against their lifetime."""
    return _change(
        messages,
        Q(status=Status.HELD),
        status=Case(When(retry_count__gt=0, then=Value(Status.DEFERRED)), default=Value(Status.QUEUED)),
        ready_at=Greatest(F("due_at"), DatabaseNow()),
    )


def cancel(messages: MessageQuerySet) -> int:
    """Give waiting and held messages up."""
    waiting = Q(status__in=(Status.QUEUED, Status.DEFERRED, Status.HELD)) | _lapsed()
    return _change(messages, waiting, **NOBODYS, status=Status.CANCELED, ready_at=F("ready_at"))


def _lapsed() -> Q:
    return Q(status=Status.SENDING, lease_until__lte=DatabaseNow())


def _change(messages: MessageQuerySet, legal: Q, **values: Any) -> int:
    return messages.filter(legal).order_by().update(updated_at=DatabaseNow(), **values)
