"""Rows in every state a test starts from, and an engine with a scripted way out."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone
from typing import Any

from email_relay.conf import RelaySettings
from email_relay.db import database_now
from email_relay.models import Message, Status
from email_relay.relay import leases
from email_relay.relay.dispatch import Dispatcher
from email_relay.relay.engine import Engine, retry_policy
from email_relay.relay.policy import Policies
from email_relay.relay.transport.base import Delivery, Reply
from email_relay.relay.transport.memory import MemoryTransport

ALIAS = "default"
SERVER = "memory:25"
CONTENT = b"Subject: hello\r\n\r\nHello.\r\n"
numbers = itertools.count(1)


def ago(seconds: float) -> datetime:
    """So long ago by the database's clock."""
    return database_now(ALIAS) - timedelta(seconds=seconds)


def queued(source: str = "shop", **columns: Any) -> Message:
    """A message that is due."""
    number = next(numbers)
    past = ago(60 - number % 50)
    given = {
        "data": {"subject": "hello", "to": [f"to{number}@example.com"], "format": 2},
        "priority": 2,
        "status": Status.QUEUED,
        "mime": CONTENT,
        "envelope_from": "from@example.com",
        "recipients": [f"to{number}@example.com"],
        "message_id": f"<{number}@example.com>",
        "size": len(CONTENT),
        "source": source,
        "due_at": past,
        "ready_at": past,
        **columns,
    }
    return Message.objects.create(**given)


def sending(seconds: float = 60, token: str = "t" * 32, **columns: Any) -> Message:
    """A message under another relay's lease, which ends in so many seconds (or ended, if negative)."""
    return queued(status=Status.SENDING, lease_token=token, lease_until=ago(-seconds), worker="other:1", **columns)


def legacy(data: Any, **columns: Any) -> Message:
    """A row as a 0.x client writes it."""
    empty = {"mime": None, "envelope_from": None, "recipients": None, "message_id": "", "size": None}
    return queued(**{**empty, "data": data, **columns})


def claim(rows: int = 100, *, size: int = 10**9, worker: str = "me:1", seconds: float = 60, **options: Any) -> Any:
    return leases.claim(ALIAS, worker=worker, server=SERVER, seconds=seconds, rows=rows, size=size, **options)


def claimed(rows: int = 100, **options: Any) -> list[leases.Leased]:
    return claim(rows, **options).messages


def lapse() -> None:
    """Every lease runs out now."""
    Message.objects.filter(status=Status.SENDING).update(lease_until=ago(1))


def engine(transport: Any = None, *, worker: str = "me:1", **settings: Any) -> Engine:
    """An engine by these settings; jitter is off. Close it."""
    given = RelaySettings(**settings)
    transport = transport or MemoryTransport(server=SERVER)
    return Engine(
        alias=ALIAS,
        settings=given,
        dispatcher=Dispatcher(transport, given.SMTP_MAX_SESSIONS),
        policies=Policies(given.SOURCE_POLICIES),
        retry=retry_policy(given),
        worker=worker,
        random=lambda: 0.5,
    )


def leased(**columns: Any) -> leases.Leased:
    """A message in hand that no database knows."""
    now = datetime(2030, 1, 1, tzinfo=timezone.utc)
    given = {
        "id": 1,
        "lease": leases.Lease("t" * 32, 60, 0),
        "source": "shop",
        "priority": 2,
        "retry_count": 0,
        "lapse_count": 0,
        "ready_at": now,
        "expires_at": None,
        "created_at": now,
        "message_id": "<1@example.com>",
        "sender": "from@example.com",
        "recipients": ["a@example.com", "b@example.com"],
        "pending": None,
        "refused": {},
        "size": len(CONTENT),
        "mime": CONTENT,
        "data": None,
        **columns,
    }
    return leases.Leased(**given)


def delivery(message: leases.Leased, **codes: int) -> Delivery:
    """What came back: codes by the recipients' local parts."""
    from email_relay.relay.transport.base import Parcel

    replies = {f"{name}@example.com": Reply(code, f"said {code}") for name, code in codes.items()}
    parcel = Parcel(message.id, message.sender or "", tuple(replies), message.mime or b"")
    return Delivery(parcel, replies, next(reversed(list(replies.values()))))
