"""Pure: from what the server said to what is recorded. Clock and randomness come in as arguments.

Each recipient's reply decides alone (P3): 2xx accepted, 5xx refused for good, everything else, silence too, is still owed. The
message is SENT when all were accepted, FAILED when nothing is owed and at least one was refused, DEFERRED otherwise, until its
retries or its lifetime are over. Recipients beyond the number a server takes at once go out at once as well, and uncharged.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from email_relay.models import Status
from email_relay.relay.leases import Leased
from email_relay.relay.replies import queue_id, too_many_recipients
from email_relay.relay.retry import Random, RetryPolicy
from email_relay.relay.transport.base import NO_REPLY, Delivery, Reply

UNMENTIONED = Reply(NO_REPLY, "the way out said nothing about this recipient")

NOTHING: Mapping[str, Any] = MappingProxyType({})

Outages = Tuple[Tuple[datetime, datetime], ...]


class Verdict(NamedTuple):
    """What is to be recorded about one leased message. ``replies`` is empty where it was judged without an attempt."""

    message: Leased
    status: Status
    log: str
    queue_id: str = ""
    pending: Optional[List[str]] = None
    refused: Mapping[str, str] = NOTHING
    retry_count: int = 0
    due_at: Optional[datetime] = None
    replies: Mapping[str, Reply] = NOTHING
    final: Reply = Reply(NO_REPLY)
    seconds: float = 0.0
    reason: str = ""
    """Why it was judged without an attempt, for the log line: it names no address (P13)."""

    @property
    def attempted(self) -> bool:
        return not self.reason

    @property
    def clean(self) -> bool:
        """Accepted by all at the first try: the row says it all, no attempt is written."""
        return self.status == Status.SENT and self.retry_count == 0


@dataclass(frozen=True)
class Judge:
    """The policy of one relay: how to retry, and the outages that do not count against a message's lifetime."""

    retry: RetryPolicy
    random: Random
    outages: Outages = ()

    def judge(self, message: Leased, delivery: Delivery, now: datetime) -> Verdict:
        replies = {to: delivery.replies.get(to, UNMENTIONED) for to in message.owed}
        refused, owed = _fates(message, replies)
        sent = Verdict(
            message,
            Status.SENT,
            str(delivery.final),
            queue_id(delivery.final),
            refused=refused,
            retry_count=message.retry_count,
            replies=replies,
            final=delivery.final,
            seconds=delivery.seconds,
        )
        if not owed and not refused:
            return sent
        deciding = _deciding(replies, owed)
        ended = sent._replace(status=Status.FAILED, log=str(deciding), final=deciding)
        return self._unfinished(ended, owed, now) if owed else ended

    def _unfinished(self, verdict: Verdict, owed: List[str], now: datetime) -> Verdict:
        message, verdict = verdict.message, verdict._replace(pending=owed)
        if _in_portions(verdict.replies):
            return verdict._replace(status=Status.DEFERRED, due_at=now)
        over = self._over(message, now)
        if over:
            return verdict._replace(log=f"{over} The last answer: {verdict.log}")
        return verdict._replace(
            status=Status.DEFERRED, retry_count=message.retry_count + 1, due_at=self._next_try(message, now)
        )

    def _over(self, message: Leased, now: datetime) -> str:
        lived = now - message.ready_at - outage_within(self.outages, message.ready_at, now)
        if not self.retry.exhausted(message.retry_count, lived):
            return ""
        return f"Gave up after {message.retry_count} retries in {timedelta(seconds=int(lived.total_seconds()))}."

    def _next_try(self, message: Leased, now: datetime) -> datetime:
        due = now + self.retry.next_pause(message.retry_count, self.random)
        return min(due, message.expires_at) if message.expires_at else due


def outage_within(outages: Outages, begin: datetime, end: datetime) -> timedelta:
    """How much of ``begin`` to ``end`` the server was away: the message's lifetime stood still (P6)."""
    spans = (min(stop, end) - max(start, begin) for start, stop in outages)
    return sum((span for span in spans if span > timedelta(0)), timedelta(0))


def failed(message: Leased, log: str, reason: str = "") -> Verdict:
    """A message judged without speaking to the server. ``reason`` is the log without what only the row may know."""
    return _untried(message, Status.FAILED, log, reason or log)


def held(message: Leased, log: str) -> Verdict:
    """A message that waits for an operator, without having been offered to the server."""
    return _untried(message, Status.HELD, log, log)


def _untried(message: Leased, status: Status, log: str, reason: str) -> Verdict:
    return Verdict(
        message,
        status,
        log,
        pending=message.pending,
        refused=dict(message.refused),
        retry_count=message.retry_count,
        reason=reason,
    )


def _fates(message: Leased, replies: Mapping[str, Reply]) -> Tuple[Dict[str, str], List[str]]:
    """All refused for good so far with the server's words, and those still owed."""
    now_refused = {to: str(reply) for to, reply in replies.items() if reply.permanent}
    owed = [to for to, reply in replies.items() if reply.temporary]
    return {**message.refused, **now_refused}, owed


def _in_portions(replies: Mapping[str, Reply]) -> bool:
    """The server took some recipients and wants the rest in a transaction of their own (RFC 5321 section 4.5.3.1.10)."""
    return any(map(too_many_recipients, replies.values())) and any(reply.accepted for reply in replies.values())


def _deciding(replies: Mapping[str, Reply], owed: List[str]) -> Reply:
    """The reply that explains the fate: of those still owed if there are any, else a refusal before an acceptance."""
    candidates = [replies[to] for to in owed] or sorted(replies.values(), key=lambda reply: not reply.permanent)
    return candidates[0] if candidates else Reply(NO_REPLY)
