"""The state of the relay at a glance. What it costs depends on what waits and on the last hours' traffic up to a budget,
never on how many sent messages are kept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Min

from email_relay.console.reasons import Reason, top_reasons
from email_relay.console.traffic import Minute, traffic
from email_relay.db import database_now, relay_alias
from email_relay.models import CLAIMABLE, Message, Server, Status, Worker

if TYPE_CHECKING:
    from email_relay.models import MessageQuerySet

INDEXED = ((Status.QUEUED, Status.DEFERRED), (Status.SENDING,), (Status.HELD,), (Status.FAILED, Status.CANCELED))
"""Statuses counted together, each group by one partial index; SENT is not counted."""

WORKER_SEEN = timedelta(minutes=10)
LATE = timedelta(minutes=5)


@dataclass(frozen=True)
class Depth:
    """How many messages of one source are in each status; SENT is missing on purpose."""

    source: str
    counts: dict[int, int]

    @property
    def cells(self) -> list[int]:
        return [self.counts.get(status, 0) for status in COUNTED]


COUNTED = tuple(status for group in INDEXED for status in group)


@dataclass(frozen=True)
class Overview:
    """Everything the dashboard and ``relayqueue status`` show, as of ``at`` by the database's clock."""

    at: datetime
    depths: list[Depth]
    due: int
    oldest_due_at: datetime | None
    minutes: list[Minute]
    truncated: bool
    servers: list[Server]
    workers: list[Worker]
    reasons: list[Reason]
    totals: dict[int, int] = field(default_factory=dict)

    @property
    def oldest_due(self) -> timedelta | None:
        """How long the oldest due message has been waiting for a relay."""
        return None if self.oldest_due_at is None else max(self.at - self.oldest_due_at, timedelta(0))

    @property
    def heartbeat_at(self) -> datetime | None:
        return max((w.heartbeat_at for w in self.workers if w.heartbeat_at), default=None)

    @property
    def open_circuits(self) -> list[Server]:
        return [server for server in self.servers if server.opened_at is not None]

    @property
    def alive(self) -> list[Worker]:
        return [worker for worker in self.workers if self.at - worker.seen_at <= WORKER_SEEN]

    @property
    def troubles(self) -> list[str]:
        """What an operator should look at now, most urgent first."""
        found = [f"The circuit of {server.name} is open: {server.last_error}" for server in self.open_circuits]
        if not self.alive:
            found.append("No relay has been seen lately.")
        if self.oldest_due is not None and self.oldest_due > LATE:
            found.append(f"The oldest due message has waited for {int(self.oldest_due.total_seconds() // 60)} minutes.")
        return found


def overview() -> Overview:
    """Read it all, in some ten small queries."""
    alias = relay_alias()
    messages = Message.objects.using(alias).order_by()
    at = database_now(alias)
    due = messages.filter(status__in=CLAIMABLE, due_at__lte=at).aggregate(count=Count("*"), oldest=Min("due_at"))
    depths = depth_by_source(messages)
    minutes, truncated = traffic(messages, at)
    return Overview(
        at=at,
        depths=depths,
        due=due["count"],
        oldest_due_at=due["oldest"],
        minutes=minutes,
        truncated=truncated,
        servers=list(Server.objects.using(alias)),
        workers=list(Worker.objects.using(alias)[:50]),
        reasons=top_reasons(alias, at),
        totals=_totals(depths),
    )


def depth_by_source(messages: MessageQuerySet) -> list[Depth]:
    found: dict[str, dict[int, int]] = {}
    for statuses in INDEXED:
        rows = messages.filter(status__in=statuses).values("source", "status").annotate(count=Count("*"))
        for row in rows:
            found.setdefault(row["source"], {})[row["status"]] = row["count"]
    return [Depth(source, counts) for source, counts in sorted(found.items())]


def _totals(depths: list[Depth]) -> dict[int, int]:
    totals: Counter[int] = Counter()
    for depth in depths:
        totals.update(depth.counts)
    return {int(status): totals[status] for status in COUNTED}


def as_dict(state: Overview) -> dict[str, Any]:
    """The overview for machines: plain types, instants as they are (the JSON writer turns them into ISO texts)."""
    oldest = state.oldest_due
    return {
        "at": state.at,
        "due": state.due,
        "oldest_due_seconds": None if oldest is None else round(oldest.total_seconds(), 3),
        "totals": {Status(status).name: count for status, count in state.totals.items()},
        "sources": {d.source: {Status(s).name: n for s, n in d.counts.items()} for d in state.depths},
        "sent_last_hour": sum(minute.sent for minute in state.minutes[-60:]),
        "failed_last_hour": sum(minute.failed for minute in state.minutes[-60:]),
        "servers": [_server(server) for server in state.servers],
        "workers": [_worker(worker) for worker in state.workers],
        "heartbeat_at": state.heartbeat_at,
        "failure_reasons": [{"reason": reason.text, "count": reason.count} for reason in state.reasons],
        "troubles": state.troubles,
    }


def _server(server: Server) -> dict[str, Any]:
    return {
        "name": server.name,
        "circuit": "open" if server.opened_at else "closed",
        "opened_at": server.opened_at,
        "probe_at": server.probe_at,
        "last_error": server.last_error,
    }


def _worker(worker: Worker) -> dict[str, Any]:
    return {
        "name": worker.name,
        "version": worker.version,
        "seen_at": worker.seen_at,
        "busy": worker.busy,
        "heartbeat_at": worker.heartbeat_at,
    }
