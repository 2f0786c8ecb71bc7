"""One message: where it stands, what was tried and said, what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from email_relay.console.access import has_permission, may_see_bodies
from email_relay.console.content import parts_of
from email_relay.console.verbs import VERBS, Verb
from email_relay.db import database_now
from email_relay.models import Attempt, Message, Status

TEXT_SHOWN = 100_000


@dataclass(frozen=True)
class Recipient:
    """What is known of one recipient: ``state`` is accepted, refused or owed."""

    address: str
    state: str
    reply: str = ""


@dataclass(frozen=True)
class Event:
    """One line of the time line."""

    at: datetime
    title: str
    kind: str
    reply: str = ""
    where: str = ""
    results: tuple[tuple[str, str], ...] = ()

    @property
    def is_said_twice(self) -> bool:
        """The one recipient's result is the reply itself."""
        return [reply for _, reply in self.results] == [self.reply]


def context(request: HttpRequest, message: Message) -> dict[str, Any]:
    """What the page's template shows; ``parts`` is missing where bodies are hidden or gone."""
    readable = may_see_bodies(request)
    content = parts_of(message)
    return {
        "message": message,
        "status": Status(message.status),
        "now": database_now(message._state.db or "default"),
        "recipients": recipients(message),
        "events": events(message),
        "verbs": verbs_for(request, message),
        "readable": readable,
        "headers": content.headers if content else (),
        "parts": content if readable else None,
        "text": content.text[:TEXT_SHOWN] if readable and content else "",
    }


def recipients(message: Message) -> list[Recipient]:
    """Everyone in the envelope, or in the headers where a 0.x client wrote the row and no relay has read it."""
    refused = message.refused or {}
    named = message.recipients if message.recipients is not None else _named(message.data)
    owed = message.pending
    if owed is None:
        owed = [] if message.status == Status.SENT else named
    return [_recipient(str(address), refused, owed) for address in named]


def _named(data: Any) -> list[str]:
    if not isinstance(data, dict):
        return []
    return [str(address) for header in ("to", "cc", "bcc") for address in data.get(header) or []]


def _recipient(address: str, refused: Any, owed: Any) -> Recipient:
    if address in refused:
        return Recipient(address, "refused", _said(refused[address]))
    return Recipient(address, "owed" if address in owed else "accepted")


def _said(reply: Any) -> str:
    """A reply as people read it, whichever way it was stored."""
    if isinstance(reply, dict):
        return " ".join(str(reply[key]) for key in ("code", "enhanced", "text") if reply.get(key))
    return str(reply)


def events(message: Message) -> list[Event]:
    """The life of the message so far, oldest first."""
    told = [Event(message.created_at, "Queued", "queued", where=message.source)]
    told += [_attempt(attempt) for attempt in message.attempts.all()]
    if message.status == Status.SENT and message.sent_at:
        reply = message.log or message.queue_id
        told.append(Event(message.sent_at, "Sent", "sent", reply=reply, where=message.worker or ""))
    elif message.status in {Status.HELD, Status.CANCELED, Status.SENDING}:
        status = Status(message.status)
        told.append(Event(message.updated_at, str(status.label), status.name.lower(), where=message.worker or ""))
    return told


def _attempt(attempt: Attempt) -> Event:
    results = attempt.results if isinstance(attempt.results, dict) else {}
    return Event(
        at=attempt.finished_at,
        title=f"Attempt {attempt.number}: {attempt.outcome}",
        kind=attempt.outcome,
        reply=attempt.reply,
        where=" via ".join(part for part in (attempt.worker, attempt.server) if part),
        results=tuple((str(address), _said(reply)) for address, reply in results.items()),
    )


LEGAL = {
    "requeue": (Status.FAILED, Status.CANCELED),
    "send_now": (Status.QUEUED, Status.DEFERRED),
    "hold": (Status.QUEUED, Status.DEFERRED),
    "release": (Status.HELD,),
    "cancel": (Status.QUEUED, Status.DEFERRED, Status.HELD),
}


def verbs_for(request: HttpRequest, message: Message) -> list[Verb]:
    """The verbs that make sense now and that this user may use."""
    lapsed = message.status == Status.SENDING
    return [
        verb
        for name, verb in VERBS.items()
        if has_permission(request, verb.permission)
        and (message.status in LEGAL[name] or (lapsed and name == "requeue"))
    ]
