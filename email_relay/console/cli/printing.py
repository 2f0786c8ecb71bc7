"""How the command line shows things: lines for people, JSON for scripts."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, Iterable, Iterator

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.timezone import localtime

from email_relay.console.overview import Overview, as_dict
from email_relay.console.pages.detail import Event, Recipient, events, recipients
from email_relay.models import Message, Priority, Status

HEAD = f"{'ID':>10}  {'STATUS':9}  {'QUEUED':19}  {'SOURCE':14}  RECIPIENTS / SUBJECT / LAST REPLY"


def as_json(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


def printable(text: str) -> str:
    """One line that can do nothing to a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def row(message: Message) -> dict[str, Any]:
    """One message for scripts, without its body."""
    return {
        "id": message.pk,
        "status": Status(message.status).name,
        "source": message.source,
        "priority": Priority(message.priority).name,
        "recipients": [recipient.address for recipient in recipients(message)],
        "subject": message.subject,
        "message_id": message.message_id,
        "queue_id": message.queue_id,
        "size": message.size,
        "retry_count": message.retry_count,
        "created_at": message.created_at,
        "due_at": message.due_at,
        "sent_at": message.sent_at,
        "last_reply": message.log,
    }


def story(message: Message) -> dict[str, Any]:
    """One message with each recipient's fate and its time line."""
    return {
        **row(message),
        "recipients": [_recipient(recipient) for recipient in recipients(message)],
        "envelope_from": message.envelope_from,
        "worker": message.worker,
        "events": [_event(event) for event in events(message)],
    }


def _recipient(recipient: Recipient) -> dict[str, str]:
    return {"address": recipient.address, "state": recipient.state, "reply": recipient.reply}


def _event(event: Event) -> dict[str, Any]:
    return {"at": event.at, "what": event.title, "where": event.where, "reply": event.reply, **_results(event)}


def _results(event: Event) -> dict[str, Any]:
    return {"results": dict(event.results)} if event.results else {}


def list_lines(messages: Iterable[Message]) -> Iterator[str]:
    yield HEAD
    for message in messages:
        shown = row(message)
        queued = f"{localtime(message.created_at):%Y-%m-%d %H:%M:%S}"
        people = printable(", ".join(shown["recipients"][:3]) or "(none)")
        yield f"{message.pk:>10}  {shown['status']:9}  {queued}  {printable(message.source)[:14]:14}  {people}"
        yield f"{'':12}{printable(message.subject)[:100]}"
        if message.log:
            yield f"{'':12}({printable(message.log)[:160]})"


def story_lines(message: Message) -> Iterator[str]:
    told = story(message)
    for name in ("id", "status", "source", "priority", "subject", "message_id", "queue_id", "envelope_from", "size"):
        if told[name] not in (None, ""):
            yield f"{name.replace('_', ' '):14} {printable(str(told[name]))}"
    yield f"{'due':14} {localtime(message.due_at):%Y-%m-%d %H:%M:%S}"
    for recipient in recipients(message):
        yield f"{recipient.state:14} {printable(recipient.address)} {printable(recipient.reply)}".rstrip()
    for event in events(message):
        yield f"{localtime(event.at):%Y-%m-%d %H:%M:%S}  {event.title}  {printable(event.where)}".rstrip()
        if event.reply and not event.is_said_twice:
            yield f"{'':21}{printable(event.reply)}"
        for address, reply in event.results:
            yield f"{'':21}{printable(address)}: {printable(reply)}"


def overview_lines(state: Overview) -> Iterator[str]:
    told = as_dict(state)
    yield f"due now        {state.due}"
    yield f"oldest due     {age(state.oldest_due)}"
    yield f"last hour      {told['sent_last_hour']} sent, {told['failed_last_hour']} failed"
    yield "totals         " + ", ".join(f"{count} {name.lower()}" for name, count in told["totals"].items())
    for source, counts in told["sources"].items():
        counted = ", ".join(f"{count} {name.lower()}" for name, count in counts.items())
        yield f"  {printable(source)[:24]:24} {counted}"
    for server in told["servers"]:
        yield f"server         {server['name']} circuit {server['circuit']} {printable(server['last_error'])}".rstrip()
    for worker in state.workers:
        yield f"relay          {worker.name} {'busy' if worker.busy else 'idle'}, seen {age(state.at - worker.seen_at)} ago"
    for reason in state.reasons:
        yield f"{reason.count:>6} x       {printable(reason.text)}"
    for trouble in state.troubles:
        yield f"ATTENTION      {printable(trouble)}"


def age(span: timedelta | None) -> str:
    return "-" if span is None else str(timedelta(seconds=max(int(span.total_seconds()), 0)))
