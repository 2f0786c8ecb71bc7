"""Leases: how a relay takes messages, keeps them, and gives them back.

**Overview.** A relay claims due messages by marking them SENDING with a token of its own, its name, and an end. It then works
on them without any transaction. Settling, renewing and giving back all name the token; zero rows changed means that
the lease was lost, and the late relay changes nothing (fencing).

**States.** QUEUED/DEFERRED -> claim -> SENDING -> settle, `unclaim` (back to QUEUED, nothing charged) or lapse (the lease ran
out: back to QUEUED with one more lapse). After `SUSPECT_LAPSES` lapses a message is claimed alone, since it may be what
kills its relay; after `FATAL_LAPSES` it fails. The batch that died with it is charged no retry.

**Trust window.** The lease ends by the database's clock. Its holder counts the same time on its own monotonic clock from
*before* the claim was sent, so it gives up no later than the database does.

**Turns.** One claim takes one message of each source, then a second of each, and so on; within a source the higher
priority first, then the earlier due. Its cost depends neither on the sent rows kept nor on the backlog.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from django.db import connections

from email_relay.db import as_instant
from email_relay.relay import claim_portable, claim_postgresql
from email_relay.relay.turns import ALL, Turns
from email_relay.relay.vocabulary import FATAL_LAPSES, SUSPECT_LAPSES

__all__ = ["FATAL_LAPSES", "SUSPECT_LAPSES", "Claim", "Lease", "Leased", "claim", "renew", "unclaim"]


@dataclass
class Lease:
    """A claim's right to its messages: the token, and when by our monotonic clock it ends."""

    token: str
    seconds: float
    started: float

    @property
    def deadline(self) -> float:
        return self.started + self.seconds

    def over(self) -> bool:
        return time.monotonic() >= self.deadline

    def aging(self) -> bool:
        """A third of it is gone: time to renew."""
        return time.monotonic() >= self.started + self.seconds / 3

    def give_up(self) -> None:
        """Over at once, for us: nothing more is begun under it. For the others it ends by the database's clock."""
        self.started = float("-inf")


class Leased(NamedTuple):
    """One message in hand: what delivering and judging it needs, no more."""

    id: int
    lease: Lease
    source: str
    priority: int
    retry_count: int
    lapse_count: int
    ready_at: datetime
    expires_at: Optional[datetime]
    created_at: datetime
    message_id: str
    sender: Optional[str]
    recipients: Optional[List[str]]
    pending: Optional[List[str]]
    refused: Dict[str, str]
    size: int
    mime: Optional[bytes]
    data: Optional[Dict[str, Any]]

    @property
    def owed(self) -> Tuple[str, ...]:
        return tuple(self.recipients or () if self.pending is None else self.pending)


@dataclass(frozen=True)
class Claim:
    """What one claim brought, and what the database said beside it."""

    now: datetime
    messages: List[Leased] = field(default_factory=list)
    circuit_open: bool = False
    probe_due: bool = False
    suppressing: bool = False
    suspects: bool = False
    lapsed: bool = False
    """Leases lapsed just now: their messages can be had by the next claim."""


def claim(
    alias: str,
    *,
    worker: str,
    server: str,
    seconds: float,
    rows: int,
    size: int,
    alone: bool = False,
    turns: Turns = ALL,
) -> Claim:
    """Give lapsed leases back, then lease up to ``rows`` due messages of about ``size`` bytes in all.

    A single message may exceed ``size``. While the circuit of ``server`` is open nothing is taken. With ``alone`` it takes
    one suspect and nothing else. ``turns`` holds back sources that have a rate. One statement on PostgreSQL,
    and one more where bodies are large.
    """
    lease = Lease(secrets.token_hex(16), seconds, time.monotonic())
    module = claim_postgresql if connections[alias].vendor == "postgresql" else claim_portable
    given = module.execute(
        alias,
        token=lease.token,
        worker=worker,
        server=server,
        seconds=seconds,
        rows=rows,
        size=size,
        alone=alone,
        turns=turns,
    )
    return _read(given, lease)


def _read(rows: Sequence[Sequence[Any]], lease: Lease) -> Claim:
    now, circuit_open, probe_due, suppressing, suspects, lapsed = rows[0][:6]
    return Claim(
        now=as_instant(now),
        messages=[_leased(row[6:], lease) for row in rows if row[6] is not None],
        circuit_open=bool(circuit_open),
        probe_due=bool(probe_due),
        suppressing=bool(suppressing),
        suspects=bool(suspects),
        lapsed=bool(lapsed),
    )


def _leased(row: Sequence[Any], lease: Lease) -> Leased:
    (key, source, priority, retries, lapses, ready, expires, created, message_id, sender, *rest) = row
    recipients, pending, refused, size, mime, data = rest
    return Leased(
        id=key,
        lease=lease,
        source=source,
        priority=priority,
        retry_count=retries,
        lapse_count=lapses,
        ready_at=as_instant(ready),
        expires_at=as_instant(expires) if expires is not None else None,
        created_at=as_instant(created),
        message_id=message_id,
        sender=sender,
        recipients=_json(recipients),
        pending=_json(pending),
        refused=_replies(_json(refused)),
        size=size or 0,
        mime=bytes(mime) if mime is not None else None,
        data=_json(data),
    )


def _replies(value: Any) -> Dict[str, str]:
    """Address to reply; a row of strangers may hold anything that is JSON, and is no reason to stop."""
    return {str(address): str(reply) for address, reply in value.items()} if isinstance(value, dict) else {}


def _json(value: Any) -> Any:
    """PostgreSQL's raw cursor gives a text; elsewhere Django has read it already."""
    if not isinstance(value, (str, bytes)):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def renew(alias: str, leases: Iterable[Lease]) -> None:
    """Extend leases by their full length from now, for the messages still held under them.

    A lease that is over stays over, and so does one under which the database knows nothing any more.
    """
    held = [lease for lease in leases if not lease.over()]
    if not held:
        return
    started = time.monotonic()
    module = claim_postgresql if connections[alias].vendor == "postgresql" else claim_portable
    known = module.extend(alias, [lease.token for lease in held], max(lease.seconds for lease in held))
    for lease in held:
        if lease.token in known:
            lease.started = started
        else:
            lease.give_up()


def unclaim(alias: str, messages: Iterable[Leased]) -> int:
    """Give messages back unattempted; nothing is charged. Returns how many were still ours."""
    from email_relay.db import DatabaseNow
    from email_relay.models import Message, Status

    by_token: dict[str, list[int]] = {}
    for message in messages:
        by_token.setdefault(message.lease.token, []).append(message.id)
    given_back = 0
    for token, ids in by_token.items():
        given_back += (
            Message.objects.using(alias)
            .filter(id__in=ids, status=Status.SENDING, lease_token=token)
            .update(status=Status.QUEUED, worker=None, lease_token=None, lease_until=None, updated_at=DatabaseNow())
        )
    return given_back
