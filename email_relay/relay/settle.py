"""Settling: what became of leased messages is recorded, conditionally on their lease.

Many clean successes are one statement; everything else also writes an `Attempt`. Returns what was really recorded: a
message missing from it had lost its lease, and its row was left alone.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any, Iterable, List, Sequence, Set

from django.db import DataError, IntegrityError, connections, transaction

from email_relay.db import DatabaseNow, database_now
from email_relay.models import Attempt, Message, Status
from email_relay.relay.faults import described
from email_relay.relay.outcomes import Verdict
from email_relay.relay.prepared import Statement

logger = logging.getLogger("email_relay.relay")

SETTLE_SENT = Statement(
    "settle",
    """
UPDATE email_relay_message AS m SET
    status = 4, sent_at = statement_timestamp(), updated_at = statement_timestamp(), worker = %(worker)s,
    log = v.log, queue_id = v.queue_id, lease_token = NULL, lease_until = NULL, pending = NULL
FROM unnest(%(ids)s::bigint[], %(tokens)s::text[], %(logs)s::text[], %(queue_ids)s::text[]) AS v (id, token, log, queue_id)
WHERE m.id = v.id AND m.status = 5 AND m.lease_token = v.token
RETURNING m.id
""",
)
LOG_LENGTH = 1000
MOST_RETRIES = 32767  # of a smallint
QUEUE_ID_LENGTH = 128


def settle(alias: str, verdicts: Sequence[Verdict], *, worker: str, server: str, delete_sent: bool = False) -> Set[int]:
    """Record the verdicts in one transaction. ``delete_sent`` removes what was sent instead of keeping it.

    Raises the database's own errors; nothing is recorded then and the call may be repeated. A verdict the database refuses
    for what it holds fails alone (P5): it is left to its lease.
    """
    try:
        return _settle(alias, verdicts, worker, server, delete_sent=delete_sent)
    except (DataError, IntegrityError) as error:
        if len(verdicts) > 1:
            alone = ([verdict] for verdict in verdicts)
            return set().union(
                *(settle(alias, one, worker=worker, server=server, delete_sent=delete_sent) for one in alone)
            )
        logger.error("cannot record id=%s: %s", verdicts[0].message.id, described(error))  # noqa: TRY400 - no text (P13)
        return set()


def _settle(alias: str, verdicts: Sequence[Verdict], worker: str, server: str, *, delete_sent: bool) -> Set[int]:
    clean = [verdict for verdict in verdicts if verdict.clean]
    others = [verdict for verdict in verdicts if not verdict.clean]
    if not others and not delete_sent and connections[alias].vendor == "postgresql":
        return set(_settle_sent(alias, clean, worker))
    with transaction.atomic(using=alias):
        recorded = set(_settle_sent(alias, clean, worker))
        changed = [verdict for verdict in others if _settle_one(alias, verdict, worker)]
        recorded.update(verdict.message.id for verdict in changed)
        _write_attempts(alias, changed, worker=worker, server=server)
        if delete_sent:
            _delete(alias, [v.message.id for v in verdicts if v.status == Status.SENT and v.message.id in recorded])
    return recorded


def _settle_sent(alias: str, verdicts: Sequence[Verdict], worker: str) -> List[int]:
    if not verdicts:
        return []
    if connections[alias].vendor != "postgresql":
        return [verdict.message.id for verdict in verdicts if _settle_one(alias, verdict, worker)]
    columns = {
        "worker": worker,
        "ids": [verdict.message.id for verdict in verdicts],
        "tokens": [verdict.message.lease.token for verdict in verdicts],
        "logs": [_text(verdict.log, LOG_LENGTH) for verdict in verdicts],
        "queue_ids": [_text(verdict.queue_id, QUEUE_ID_LENGTH) for verdict in verdicts],
    }
    return [row[0] for row in SETTLE_SENT.rows(alias, columns)]


def _settle_one(alias: str, verdict: Verdict, worker: str) -> bool:
    held = Message.objects.using(alias).filter(
        id=verdict.message.id, status=Status.SENDING, lease_token=verdict.message.lease.token
    )
    return held.update(**_columns(verdict, worker)) > 0


def _columns(verdict: Verdict, worker: str) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "status": verdict.status,
        "log": _text(verdict.log, LOG_LENGTH),
        "retry_count": min(verdict.retry_count, MOST_RETRIES),
        "pending": verdict.pending,
        "refused": verdict.refused or None,
        "lease_token": None,
        "lease_until": None,
        "updated_at": DatabaseNow(),
        # what waits has no worker: see the constraint and the state machine
        "worker": None if verdict.status in (Status.DEFERRED, Status.HELD) else worker,
    }
    if verdict.queue_id:
        columns["queue_id"] = _text(verdict.queue_id, QUEUE_ID_LENGTH)
    if verdict.status == Status.SENT:
        columns["sent_at"] = DatabaseNow()
    if verdict.due_at is not None:
        columns["due_at"] = verdict.due_at
    if verdict.status == Status.DEFERRED:
        columns["lapse_count"] = 0  # its relay lived through the attempt
    return columns


def _text(value: str, length: int) -> str:
    """What every database takes as text: no NUL, no surrogate."""
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")[:length]


def _write_attempts(alias: str, verdicts: Iterable[Verdict], *, worker: str, server: str) -> None:
    attempted = [verdict for verdict in verdicts if verdict.attempted]
    if not attempted:
        return
    now = database_now(alias)
    Attempt.objects.using(alias).bulk_create([_attempt(verdict, now, worker, server) for verdict in attempted])


def _attempt(verdict: Verdict, now: datetime, worker: str, server: str) -> Attempt:
    return Attempt(
        message_id=verdict.message.id,
        number=min(verdict.message.retry_count + 1, MOST_RETRIES),
        started_at=now - timedelta(seconds=verdict.seconds),
        finished_at=now,
        worker=worker,
        server=server,
        outcome=Status(verdict.status).name.lower(),
        code=verdict.final.code or None,
        enhanced=verdict.final.enhanced[:16],
        reply=_text(verdict.final.text, LOG_LENGTH),
        results={to: str(reply) for to, reply in verdict.replies.items()},
    )


def _delete(alias: str, ids: List[int]) -> None:
    Attempt.objects.using(alias).filter(message_id__in=ids).delete()
    Message.objects.using(alias).filter(id__in=ids).delete()
