"""Drain: claim, dispatch, settle, until nothing is due. The way of a message through the relay, top to bottom.

No transaction is open while the network is spoken to. The next claim is made while the last is being sent. One thread, this one,
speaks to the database; the couriers of `dispatch` speak to the server.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Callable, List, Optional, Tuple

from django.db import DatabaseError, InterfaceError, connections

from email_relay.db import error_code
from email_relay.exceptions import ServerUnavailable
from email_relay.models import Status
from email_relay.relay import circuit, leases, throttle, workers
from email_relay.relay.allowance import Allowance
from email_relay.relay.batches import BatchTurn
from email_relay.relay.claim_size import ClaimSize
from email_relay.relay.dispatch import Job, Returned, Unreachable
from email_relay.relay.engine import Engine, process_engine
from email_relay.relay.gate import Passage, sift
from email_relay.relay.hand import Hand
from email_relay.relay.health import oldest_due_age
from email_relay.relay.keeping import keep
from email_relay.relay.observers import timed
from email_relay.relay.outcomes import Judge, Verdict
from email_relay.relay.pacing import Pacing
from email_relay.relay.prepared import make_ready
from email_relay.relay.report import DrainReport, Stop
from email_relay.relay.transport.base import NO_REPLY, Delivery, Reply
from email_relay.relay.turns import in_turns
from email_relay.relay.vocabulary import SUSPECT_LAPSES

logger = logging.getLogger("email_relay.relay")

TICK_SECONDS = 0.05
PACED_SECONDS = 0.25
"""How long a drain that waits for a paced source looks away from the others."""
RECONNECT_SECONDS = (0.2, 5.0)
CIRCUIT_OPEN = "circuit open"
BETWEEN_BATCHES = "between two batches"
LOCK_NOT_AVAILABLE = "55P03"
"""SQLSTATE when ``lock_timeout`` is over."""


def drain(
    stop: Optional[Stop] = None,
    *,
    engine: Optional[Engine] = None,
    on_backlog: Optional[Callable[[], None]] = None,
) -> DrainReport:
    """Drain until nothing is due, a limit is reached, the circuit opens or ``stop`` is set.

    When stopped it finishes the deliveries that have begun, records them and gives the rest back. ``on_backlog`` is called
    once if there is more than one claim holds: the moment to call other processes in. Raises the database's errors
    if it is away before anything was claimed.
    """
    engine = engine or process_engine()
    if not engine.draining.acquire(blocking=False):
        return DrainReport(more=True, reason="another thread drains")
    try:
        return Drain(engine, stop or threading.Event(), on_backlog).run()
    finally:
        engine.draining.release()


class Drain:
    """One run. Owns what is in hand; ends with nothing in hand."""

    def __init__(self, engine: Engine, stop: Stop, on_backlog: Callable[[], None] | None) -> None:
        self.engine = engine
        self.stop = stop
        self.on_backlog = on_backlog
        self.report = DrainReport()
        self.hand = Hand()
        self.judge = Judge(engine.retry, engine.random)
        self.interval = throttle.interval(engine.settings)
        self.pacing = Pacing(engine.alias, engine.policies)
        self.allowance = Allowance(engine)
        self.turn = BatchTurn(engine.alias, engine.server, engine.settings)
        self.size = ClaimSize(engine.settings.CLAIM_MAX_ROWS, time.monotonic())
        self.taken = 0
        self.suspects = False
        self._closing = ""
        self._nothing_due = False
        self._tripped = False
        self._claim_again_at = 0.0
        self._clock = (datetime.now(timezone.utc), time.monotonic())

    def run(self) -> DrainReport:
        make_ready(self.engine.alias)
        if not self.turn.begin():
            return DrainReport(more=True, reason=BETWEEN_BATCHES)
        try:
            if not self.allowance.take():
                self._close("no session free", more=True)
            while not self._done():
                self._take()
                self._collect()
                keep(self.engine, self.hand, self.report, self._now())
                self.turn.keep()
                self.allowance.keep()
        finally:
            self._wind_up()
            self.allowance.give_up()
            self.turn.end(tried=self.report.tried > 0)
        if self._closing:
            self.report.reason = self._closing
        elif self._full():
            self.report.reason, self.report.more = "EMAIL_MAX_BATCH reached", True
        else:
            self.report.reason = "nothing due"
        return self.report

    # -- taking ---------------------------------------------------------------------------------------------------

    def _done(self) -> bool:
        if self.stop.is_set():
            self._close("stopped")
        if self._closing:
            # at every turn: a session that ends puts back what it had not begun
            self._take_back()
        return self.hand.empty() and (bool(self._closing) or self._nothing_due or self._full())

    def _full(self) -> bool:
        """As many were taken as one drain may take; they still go out."""
        limit = self.engine.settings.EMAIL_MAX_BATCH
        return limit is not None and self.taken >= limit

    def _close(self, reason: str, *, more: bool = False) -> None:
        """Take no more; what no courier has begun comes back."""
        if not self._closing:
            self._closing, self.report.more = reason, more
        self._take_back()

    def _take_back(self) -> None:
        for job in self.engine.dispatcher.take_back():
            self.hand.returned(job.parcel)

    def _take(self) -> None:
        if not self._may_take():
            return
        if not self.interval:
            self._claim(self._rows())
        elif self.hand.empty():
            self._take_in_turn()

    def _take_in_turn(self) -> None:
        """One message in this relay's next slot of the throttle, waited for with nothing in hand."""
        if oldest_due_age(self.engine.alias) is None:
            self._claim(0)  # no slot for an idle poll, which still finds what has lapsed, and probes an open circuit
            return
        slot = throttle.reserve(self.engine.alias, self.engine.server, self.interval)
        if self.stop.wait(slot.wait) or not self._claim(1):
            throttle.give_back(self.engine.alias, self.engine.server, slot)

    def _claim(self, rows: int) -> bool:
        """Whether it brought messages."""
        alone = self.suspects and not self.hand
        began = time.monotonic()
        with timed("claim", self.engine.server):
            claim = leases.claim(
                self.engine.alias,
                worker=self.engine.worker,
                server=self.engine.server,
                seconds=self.engine.settings.LEASE_SECONDS,
                rows=rows,
                size=self.engine.settings.CLAIM_MAX_BYTES,
                alone=alone,
                turns=self.pacing.turns(),
            )
        self._clock = (claim.now, time.monotonic())
        self.size.claimed(rows, len(claim.messages), time.monotonic() - began)
        self.suspects = claim.suspects and not alone
        if claim.circuit_open:
            self._circuit_open(claim.probe_due)
        elif not claim.messages:
            self._nothing_due = not (self.hand.out or alone or claim.lapsed or self._paced_mail_is_near())
            self._claim_again_at = time.monotonic() + TICK_SECONDS
        else:
            self._handle(claim, rows)
        return bool(claim.messages)

    def _may_take(self) -> bool:
        if self._closing or self._nothing_due or self._full():
            return False
        if self.hand.out and time.monotonic() < self._claim_again_at:
            return False
        if not self._has_room():
            return False
        return not self.hand.out or not (self.suspects or self._holds_suspect())

    def _has_room(self) -> bool:
        """What is held is bounded in messages and in bytes (P10)."""
        return self._rows() > 0 and self.hand.size() <= self.engine.settings.CLAIM_MAX_BYTES // 2

    def _holds_suspect(self) -> bool:
        return any(passage.message.lapse_count >= SUSPECT_LAPSES for passage in self.hand.out.values())

    def _rows(self) -> int:
        rows = self.size.rows(len(self.hand), self.engine.dispatcher.most, time.monotonic())
        limit = self.engine.settings.EMAIL_MAX_BATCH
        return rows if limit is None else min(rows, limit - self.taken)

    def _paced_mail_is_near(self) -> bool:
        """Wait a little for a source that has a rate; what is further away than a pause is left to the next drain."""
        wait = self.pacing.seconds_to_turn()
        if wait is None or wait > float(self.engine.settings.EMPTY_QUEUE_SLEEP):
            return False
        self.stop.wait(min(wait, PACED_SECONDS))
        return True

    def _handle(self, claim: leases.Claim, rows: int) -> None:
        first = not self.taken
        passages, verdicts = self._sifted(claim)
        self.taken += len(claim.messages)
        self.hand.take(passages)
        for verdict in verdicts:
            self._judged(verdict)
        self._submit([passage.job for passage in passages])
        if first:
            # the mail is on its way: these may take their time
            outages = circuit.outages(self.engine.alias, self.engine.server)
            self.judge = Judge(self.engine.retry, self.engine.random, outages)
            workers.busy(self.engine.alias, self.engine.worker)
        if self.on_backlog is not None and len(claim.messages) >= rows:
            self.on_backlog()
            self.on_backlog = None

    def _submit(self, jobs: List[Job]) -> None:
        """A source that comes late does not wait for what others have in hand (P7)."""
        if len(self.hand.sources()) > 1:
            jobs = in_turns([*self.engine.dispatcher.take_back(), *jobs], self.hand.source)
        self.engine.dispatcher.submit(jobs)

    def _sifted(self, claim: leases.Claim) -> Tuple[List[Passage], List[Verdict]]:
        try:
            admitted, early = self.pacing.admit(claim.messages)
            passages, verdicts = sift(self.engine.alias, replace(claim, messages=admitted), self.engine.policies)
        except Exception:
            # not in hand yet: `_wind_up` gives them back
            self.hand.returns.extend(claim.messages)
            raise
        self.hand.returns.extend(early)
        return passages, verdicts

    # -- collecting -----------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        """Wait shortly for a report, then take all that are there."""
        if not self.hand.out:
            return
        dispatcher = self.engine.dispatcher
        report = dispatcher.report(TICK_SECONDS if not self.hand.verdicts else 0.005)
        if report is None:
            dispatcher.tend()
            self._look_for_the_missing()
        while report is not None:
            if isinstance(report, Delivery):
                self._delivery(report)
            elif isinstance(report, Returned):
                for job in report.jobs:
                    self.hand.returned(job.parcel)
            elif isinstance(report, Unreachable):
                self._unreachable(report)
            else:
                self._close("no thread for a session", more=True)
            report = dispatcher.report(0)

    def _look_for_the_missing(self) -> None:
        """What no courier has will never be reported; whether it went out nobody knows, so it waits for its lease to end."""
        if self.engine.dispatcher.deserted():
            logger.error("no courier knows of %s messages: they go out again when their leases end", len(self.hand.out))
            self.hand.out.clear()

    def _delivery(self, delivery: Delivery) -> None:
        message = self.hand.back(delivery.parcel)
        if message is None:
            return
        self.size.delivered()
        self._judged(self.judge.judge(message, delivery, self._now()))
        self.engine.dispatcher.observe(delivery.seconds)

    def _now(self) -> datetime:
        """The database's clock, as the last claim told it: this machine's may be wrong."""
        told, at = self._clock
        return told + timedelta(seconds=time.monotonic() - at)

    def _judged(self, verdict: Verdict) -> None:
        self.hand.judged(verdict)
        if verdict.status == Status.DEFERRED:
            self.report.deferred += 1
            limit = self.engine.settings.EMAIL_MAX_DEFERRED
            if limit is not None and self.report.deferred >= limit:
                self._close("EMAIL_MAX_DEFERRED reached", more=True)

    def _unreachable(self, report: Unreachable) -> None:
        if self._again_at_this_message(report):
            return
        self._close(CIRCUIT_OPEN)
        if self._tripped:
            return  # several sessions may have met the same trouble
        self._tripped = True
        circuit.trip(self.engine.alias, self.engine.server, report.error.reason, self.engine.random)

    def _again_at_this_message(self, report: Unreachable) -> bool:
        """Two fresh sessions in a row died at one message: it is deferred, or it would stand before all others (P5)."""
        begun, before = report.begun, self.engine.died_at
        self.engine.died_at = begun.parcel.key if begun else None
        if begun is None or begun.parcel.key != before:
            return False
        self.engine.died_at = None
        reply = Reply(NO_REPLY, report.error.reason)
        self._delivery(Delivery(begun.parcel, dict.fromkeys(begun.parcel.recipients, reply), reply))
        return True

    # -- the end ------------------------------------------------------------------------------------------------------

    def _wind_up(self) -> None:
        """Finish what has begun and leave nothing in hand.

        A fault of ours may end this early: what is left is let go then, so that no courier begins it for a later drain.
        """
        try:
            self._take_back()
            self._finish()
        finally:
            self.hand.abandon()

    def _finish(self) -> None:
        """Through a database that is away for a while."""
        pause, most = RECONNECT_SECONDS
        while not self.hand.empty():
            try:
                self._collect()
                keep(self.engine, self.hand, self.report, self._now())
            except (DatabaseError, InterfaceError) as error:
                if self._locked_out(error):
                    continue
                if not self._still_held():
                    return
                logger.warning("database away (%s), trying again in %.1fs", type(error).__name__, pause)
                connections[self.engine.alias].close()
                time.sleep(pause)
                pause = min(2 * pause, most)

    def _locked_out(self, error: Exception) -> bool:
        """Whoever locks the table keeps other relays from it too: it can be recorded afterwards, even when the leases are over."""
        if error_code(error) != LOCK_NOT_AVAILABLE or self.stop.is_set():
            return False
        logger.warning("waiting for a lock to record %s verdicts", len(self.hand.verdicts))
        return True

    def _still_held(self) -> bool:
        """With every lease over, other relays have taken the messages back: nothing is ours to record."""
        held: List[leases.Lease] = self.hand.leases()
        if any(not lease.over() for lease in held):
            return True
        logger.error("leases lost while the database was away: %s verdicts not recorded", len(self.hand.verdicts))
        return False

    # -- the server's state ---------------------------------------------------------------------------------------

    def _circuit_open(self, probe_due: bool) -> None:
        if self.hand.out:
            self._take_back()
        if not (probe_due and self._takes_probe()):
            self._close(CIRCUIT_OPEN)
        elif self._answers():
            circuit.close(self.engine.alias, self.engine.server)
        else:
            self._close(CIRCUIT_OPEN)

    def _takes_probe(self) -> bool:
        return circuit.take_probe(self.engine.alias, self.engine.server, self.engine.settings.LEASE_SECONDS)

    def _answers(self) -> bool:
        """Connect and log in; no message is touched."""
        try:
            self.engine.dispatcher.connect().close()
        except ServerUnavailable as error:
            circuit.trip(self.engine.alias, self.engine.server, error.reason, self.engine.random)
            return False
        return True
