"""The circuit of a server, shared by all relays through its row: while it is open nothing is claimed (P6).

One relay at a time probes; between probes the pauses of `breaker` grow. Closing remembers the outage, so that the lifetime of
messages can stand still for as long.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction

from email_relay.db import DatabaseNow, database_now
from email_relay.models import Server
from email_relay.relay import breaker
from email_relay.relay.outcomes import Outages
from email_relay.relay.retry import Random

logger = logging.getLogger("email_relay.relay")

OUTAGES_KEPT = 50
ERROR_LENGTH = 500


def trip(alias: str, server: str, reason: str, random: Random) -> None:
    """Open the circuit, or record one more failed probe."""
    with transaction.atomic(using=alias):
        Server.objects.using(alias).get_or_create(name=server)
        row = Server.objects.using(alias).select_for_update().get(name=server)
        now = database_now(alias)
        wait = breaker.pause(row.failures, random)
        row.opened_at, row.failures, row.probe_at = row.opened_at or now, row.failures + 1, now + wait
        row.last_error = reason[:ERROR_LENGTH]
        row.save(using=alias, update_fields=["opened_at", "failures", "probe_at", "last_error", "updated_at"])
    logger.warning(
        "circuit open server=%(server)s failures=%(failures)s next_probe=%(next_probe).0fs reason=%(reason)s",
        {"server": server, "failures": row.failures, "next_probe": wait.total_seconds(), "reason": reason},
    )


def take_probe(alias: str, server: str, lease_seconds: float) -> bool:
    """True for the one relay that may try the server now; where it dies of that, another may once a lease would be over."""
    due = Server.objects.using(alias).filter(name=server, opened_at__isnull=False, probe_at__lte=DatabaseNow())
    return due.update(probe_at=database_now(alias) + breaker.probe_time(lease_seconds)) > 0


def close(alias: str, server: str) -> None:
    """The server answers again."""
    with transaction.atomic(using=alias):
        row = Server.objects.using(alias).select_for_update().filter(name=server, opened_at__isnull=False).first()
        if row is None or row.opened_at is None:
            return
        outage = [row.opened_at.isoformat(), database_now(alias).isoformat()]
        row.outages = [*row.outages, outage][-OUTAGES_KEPT:]
        row.opened_at, row.probe_at, row.failures = None, None, 0
        row.save(using=alias)
    logger.warning("circuit closed server=%(server)s: the server answers again", {"server": server})


def outages(alias: str, server: str) -> Outages:
    """The latest outages as pairs of instants, the oldest first."""
    pairs = Server.objects.using(alias).filter(name=server).values_list("outages", flat=True).first() or []
    return tuple((datetime.fromisoformat(begin), datetime.fromisoformat(end)) for begin, end in pairs)


def seconds_to_probe(alias: str, server: str) -> float | None:
    """How long until the open circuit may be probed; None while it is closed."""
    row = Server.objects.using(alias).filter(name=server, opened_at__isnull=False).first()
    if row is None or row.probe_at is None:
        return None
    return max(0.0, (row.probe_at - database_now(alias)).total_seconds())
