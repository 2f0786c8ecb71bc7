"""What each relay process tells the others: that it lives, whether it is idle, how many sessions it uses."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Sum

from email_relay import __version__
from email_relay.db import database_now
from email_relay.models import Server, Worker

SEEN_SECONDS = 15 * 60
"""A relay not seen for so long is taken for dead."""
FORGET_SECONDS = 7 * 24 * 60 * 60


def worker_name() -> str:
    """host:pid, unique among the relays of one site."""
    return f"{socket.gethostname()}:{os.getpid()}"[:255]


def _write(alias: str, name: str, **columns: Any) -> None:
    now = database_now(alias)
    given = {"seen_at": now, "version": __version__, **columns}
    if not Worker.objects.using(alias).filter(name=name).update(**given):
        Worker.objects.using(alias).get_or_create(name=name, defaults={"started_at": now, **given})


def busy(alias: str, name: str) -> None:
    """Inserts need not notify: this relay looks again anyway."""
    _write(alias, name, busy=True, idle_until=None)


def idle(alias: str, name: str, seconds: float) -> None:
    """For so long inserts wake this relay. Poll once more after this, or a message that came before it waits."""
    _write(alias, name, busy=False, idle_until=database_now(alias) + timedelta(seconds=seconds), sessions=0)


def gone(alias: str, name: str) -> None:
    Worker.objects.using(alias).filter(name=name).delete()


def forget_old(alias: str) -> int:
    long_ago = database_now(alias) - timedelta(seconds=FORGET_SECONDS)
    return Worker.objects.using(alias).filter(seen_at__lt=long_ago).delete()[0]


def reserve_sessions(alias: str, name: str, server: str, *, wanted: int, total: int, seconds: float) -> int:
    """How many sessions this relay may open, so that all relays together stay within ``total``. May be 0.

    A relay not seen for ``seconds`` is taken for dead: its sessions are free again.
    """
    with transaction.atomic(using=alias):
        Server.objects.using(alias).get_or_create(name=server)
        Server.objects.using(alias).select_for_update().get(name=server)
        alive = database_now(alias) - timedelta(seconds=seconds)
        others = Worker.objects.using(alias).filter(seen_at__gte=alive).exclude(name=name)
        used = others.aggregate(sum=Sum("sessions"))["sum"] or 0
        granted = max(0, min(wanted, total - used))
        _write(alias, name, sessions=granted)
    return granted


def release_sessions(alias: str, name: str) -> None:
    """This relay has none open any more."""
    Worker.objects.using(alias).filter(name=name).update(sessions=0)
