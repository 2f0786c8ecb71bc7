"""The tasks: clock and fan-out, no more. They carry no mail and no ids, and return counts that read well in Flower.

What a task raises goes to the log, to Flower, to a result backend and to Sentry: it is `unquoted`.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery import shared_task
from django.db import DatabaseError, InterfaceError, connections

from email_relay.conf import relay_settings
from email_relay.relay import heartbeat as heartbeats
from email_relay.relay import retention
from email_relay.relay.drain import drain as drain_queue
from email_relay.relay.engine import Engine, process_engine
from email_relay.relay.faults import unquoted
from email_relay.relay.heartbeat import Pacemaker
from email_relay.relay.idling import Idleness
from email_relay.relay.report import DrainReport
from email_relay.relay.throttle import interval
from relay_worker.schedule import lifetime
from relay_worker.shutdown import shutdown

logger = logging.getLogger("relay_worker")

CALLED_IN = 2
"""A drain that sees a backlog calls in so many others, and each of them as many again, until every process is at work."""
_idleness: dict[str, Idleness] = {}
_aside = heartbeats.Aside()


@shared_task(name="email_relay.drain")
@unquoted()
def drain() -> dict[str, Any]:
    """Drain what is due."""
    return _drain()


@shared_task(name="email_relay.dispatch")
@unquoted()
def dispatch() -> dict[str, Any]:
    """The same, called in by a backlog."""
    return _drain()


@shared_task(name="email_relay.purge")
@unquoted()
def purge() -> dict[str, Any]:
    """Delete what is older than its retention."""
    return retention.purge().as_dict()


@shared_task(name="email_relay.heartbeat")
@unquoted()
def heartbeat() -> dict[str, Any]:
    """Ping the dead man's switch if the relay can do its job."""
    return _aside.beat().as_dict()


def _drain() -> dict[str, Any]:
    engine = process_engine()
    with _shield(), Pacemaker(engine.alias, engine.worker, engine.settings, at_once=False):
        report = _with_a_fresh_link(engine)
    if engine.settings.EMAIL_MAX_BATCH is not None and report.tried:
        # beat's next stroke comes within the pause and finds the turn not free; the one after it is late
        pause = float(engine.settings.EMPTY_QUEUE_SLEEP)
        send(drain, countdown=pause, expires=lifetime(2 * pause))
    return {**report.as_dict(), "server": engine.server}


def _with_a_fresh_link(engine: Engine) -> DrainReport:
    """A link is kept from task to task; one that outlived its server is made anew, or a wake-up would be lost with it (P8)."""
    kept = connections[engine.alias].connection is not None
    try:
        return _until_idle(engine)
    except (DatabaseError, InterfaceError):
        _let_go(engine)
        if not kept:
            raise
    try:
        return _until_idle(engine)
    except (DatabaseError, InterfaceError):
        _let_go(engine)
        raise


def _let_go(engine: Engine) -> None:
    """The next task must not find a broken link, and the database may have lost the declaration of idleness."""
    connections[engine.alias].close()
    _idleness.pop(engine.worker, None)


def _until_idle(engine: Engine) -> DrainReport:
    """Drain, declare this process idle, and look once more: what came in between notified nobody."""
    idleness = _idleness.setdefault(engine.worker, Idleness(engine))
    total = DrainReport()
    while True:
        report = drain_queue(shutdown, engine=engine, on_backlog=_call_in if _may_fan_out() else None)
        total = total.plus(report)
        # under EMAIL_MAX_BATCH nobody is woken, and a second look would take more than it allows
        if engine.settings.EMAIL_MAX_BATCH is not None or not idleness.declare(report):
            return total


def _may_fan_out() -> bool:
    """A paced relay needs no second process, and a bounded drain keeps its pause."""
    settings = relay_settings()
    return settings.EMAIL_MAX_BATCH is None and not interval(settings)


def _call_in() -> None:
    for _ in range(CALLED_IN):
        send(dispatch, expires=lifetime(float(relay_settings().EMPTY_QUEUE_SLEEP)), ignore_result=True)


def send(task: Any, **options: Any) -> None:
    """A broker that is away costs latency only: the clock drains anyway (P8)."""
    try:
        task.apply_async(retry=False, **options)
    except Exception as error:  # noqa: BLE001 - each broker's client has errors of its own
        logger.warning("could not send %s (%s), the next drain comes by the clock", task.name, type(error).__name__)


def _shield() -> Any:
    """Signals can be shielded in the main thread only; a thread pool needs no shield, no signal reaches its tasks."""
    from contextlib import nullcontext

    in_main_thread = threading.current_thread() is threading.main_thread()
    return shutdown.shielded() if in_main_thread else nullcontext()
