"""Keeping: what is known is recorded, what is not wanted goes back, and what is still out keeps its lease."""

from __future__ import annotations

import logging
from datetime import datetime

from email_relay.relay import leases
from email_relay.relay.engine import Engine
from email_relay.relay.hand import Hand
from email_relay.relay.observe import announce
from email_relay.relay.observers import timed
from email_relay.relay.report import DrainReport
from email_relay.relay.settle import settle
from email_relay.relay.suppressing import suppress_unknown_users

logger = logging.getLogger("email_relay.relay")


def keep(engine: Engine, hand: Hand, report: DrainReport, now: datetime) -> None:
    """Whatever of it is due. Raises the database's errors; the hand then still holds what was not written."""
    if hand.flush_due():
        _record(engine, hand, report, now)
    if hand.returns:
        report.returned += leases.unclaim(engine.alias, hand.returns)
        hand.returns = []
    aging = hand.aging()
    if aging:
        leases.renew(engine.alias, aging)


def _record(engine: Engine, hand: Hand, report: DrainReport, now: datetime) -> None:
    verdicts = hand.verdicts
    with timed("settle", engine.server):
        recorded = settle(
            engine.alias,
            verdicts,
            worker=engine.worker,
            server=engine.server,
            delete_sent=engine.settings.MESSAGES_RETENTION_SECONDS == 0,
        )
    hand.flushed()
    kept = [verdict for verdict in verdicts if verdict.message.id in recorded]
    for verdict in kept:
        report.recorded(verdict)
    for verdict in verdicts:
        if verdict.message.id not in recorded:
            facts = {"id": verdict.message.id}
            logger.warning("lease lost id=%(id)s: another relay has it, nothing was recorded", facts)
    if engine.settings.SUPPRESS_UNKNOWN_USERS:
        suppress_unknown_users(engine.alias, kept)
    announce(kept, engine.server, now)
