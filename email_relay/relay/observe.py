"""What the relay tells about each verdict once it is recorded: one log line, a signal, and a word to whoever counts."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from typing import Any, Dict, Iterable

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


HANDLE = "%(outcome)s id=%(id)s source=%(source)s message_id=%(message_id)s"
ATTEMPT = HANDLE + (
    " server=%(server)s code=%(code)s enhanced=%(enhanced)s queue_id=%(queue_id)s attempt=%(attempt)s seconds=%(seconds).3f"
)
UNTRIED = HANDLE + " reason=%(reason)r"
BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


def announce(verdicts: Iterable[Verdict], server: str, now: datetime) -> None:
    """One ``key=value`` line per attempt; no subject, no body, no address (P13). ``now``: by the database's clock."""
    for verdict in verdicts:
        _log(verdict, server)
        _signal(verdict)
        _count(verdict, server, now)


def _log(verdict: Verdict, server: str) -> None:
    level = LEVELS[verdict.status]
    if logger.isEnabledFor(level):
        logger.log(level, ATTEMPT if verdict.attempted else UNTRIED, _facts(verdict, server))


def _facts(verdict: Verdict, server: str) -> Dict[str, Any]:
    """By name, so that a formatter may have them typed and apart from the words."""
    message = verdict.message
    facts: Dict[str, Any] = {
        "outcome": verdict.status.name.lower(),
        "id": message.id,
        "source": _one_word(message.source),
        "message_id": _one_word(message.message_id),
    }
    if not verdict.attempted:
        return {**facts, "reason": verdict.reason}
    return {
        **facts,
        "server": server,
        "code": verdict.final.code,
        "enhanced": verdict.final.enhanced or "-",
        "queue_id": _one_word(verdict.queue_id) or "-",
        "attempt": message.retry_count + 1,
        "seconds": round(verdict.seconds, 3),
    }


def _one_word(text: str) -> str:
    """What others wrote can neither begin a line of its own nor pass for another ``key=value``."""
    return BLANK.sub("?", text)


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
