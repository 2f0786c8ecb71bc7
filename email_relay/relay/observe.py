"""What the relay tells about each verdict once it is recorded: one log line, a signal, and a word to whoever counts."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Iterable

from email_relay.models import Message, Status
from email_relay.relay import observers
from email_relay.relay.outcomes import Verdict
from email_relay.signals import message_deferred, message_failed, message_sent

logger = logging.getLogger("email_relay.relay")

SIGNALS = {Status.SENT: message_sent, Status.DEFERRED: message_deferred, Status.FAILED: message_failed}
LEVELS = {
    Status.SENT: logging.INFO,
    Status.DEFERRED: logging.WARNING,
    Status.HELD: logging.WARNING,
    Status.FAILED: logging.ERROR,
}


def announce(verdicts: Iterable[Verdict], server: str, now: datetime) -> None:
    """One ``key=value`` line per attempt; no subject, no body, no address (P13). ``now``: by the database's clock."""
    for verdict in verdicts:
        _log(verdict, server)
        _signal(verdict)
        _count(verdict, server, now)


def _log(verdict: Verdict, server: str) -> None:
    level = LEVELS[verdict.status]
    if not logger.isEnabledFor(level):
        return
    message = verdict.message
    if verdict.attempted:
        logger.log(
            level,
            "%s id=%s source=%s message_id=%s server=%s code=%s enhanced=%s queue_id=%s attempt=%s seconds=%.3f",
            verdict.status.name.lower(),
            message.id,
            message.source,
            message.message_id,
            server,
            verdict.final.code or "-",
            verdict.final.enhanced or "-",
            verdict.queue_id or "-",
            message.retry_count + 1,
            verdict.seconds,
        )
    else:
        logger.log(
            level,
            "%s id=%s source=%s message_id=%s reason=%r",
            verdict.status.name.lower(),
            message.id,
            message.source,
            message.message_id,
            verdict.reason,
        )


def _count(verdict: Verdict, server: str, now: datetime) -> None:
    observers.tell(lambda observer: observer.recorded(verdict, server=server, now=now))


def _signal(verdict: Verdict) -> None:
    signal = SIGNALS.get(verdict.status)
    if signal is None or not signal.has_listeners(Message):
        return
    answers = signal.send_robust(
        sender=Message,
        id=verdict.message.id,
        source=verdict.message.source,
        message_id=verdict.message.message_id,
        reply=verdict.log,
        due_at=verdict.due_at,
    )
    for _, answer in answers:
        if isinstance(answer, Exception):
            logger.error(
                "a receiver of %s raised %s", verdict.status.name.lower(), type(answer).__name__, exc_info=answer
            )
