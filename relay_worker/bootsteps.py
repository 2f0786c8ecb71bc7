"""What the worker's main process does besides Celery's own work: check at start, listen for inserts, announce the end."""

from __future__ import annotations

import logging
from typing import Any

from celery import Celery, bootsteps, signals

from relay_worker.shutdown import shutdown

logger = logging.getLogger("relay_worker")


class WakeUp(bootsteps.StartStopStep):
    """A thin shell around `Listener`: a notification of the database becomes a drain at once."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self.listener: Any = None

    def start(self, parent: Any) -> None:
        from email_relay.conf import relay_settings
        from email_relay.db import relay_alias
        from email_relay.relay.wakeup import Listener
        from relay_worker.schedule import lifetime
        from relay_worker.tasks import drain, send

        settings = relay_settings()
        if settings.EMAIL_MAX_BATCH is not None:
            logger.info("EMAIL_MAX_BATCH bounds the drains: they begin by the clock, inserts do not wake them")
            return
        expires = lifetime(float(settings.EMPTY_QUEUE_SLEEP))
        self.listener = Listener(relay_alias(), lambda: send(drain, expires=expires))
        self.listener.start()

    def stop(self, parent: Any) -> None:
        if self.listener is not None:
            self.listener.stop()

    terminate = stop


def refuse_to_start_unready(**_: Any) -> None:
    """Without its tables the worker says which command to type, and ends."""
    from django.db import DatabaseError, InterfaceError, connections

    from email_relay.db import relay_alias
    from email_relay.readiness import missing_migrations

    try:
        complaint = missing_migrations()
        connections[relay_alias()].close()  # the main process would hold it as long as it lives, and asks nothing more
    except (DatabaseError, InterfaceError) as error:
        raise SystemExit(
            f"The relay database cannot be reached ({type(error).__name__}). Type: email-relay check"
        ) from error
    if complaint:
        raise SystemExit(complaint)


def count_for_prometheus(**_: Any) -> None:
    from relay_worker import counters

    counters.install()
    signals.worker_process_shutdown.connect(counters.end, weak=False)


def mend_the_pool(**_: Any) -> None:
    from relay_worker import poollock

    poollock.install()


def spare_the_neighbours(sender: Any, **_: Any) -> None:
    """As if ``--without-mingle --without-gossip`` were typed.

    At its start, and after each lost link to the broker, a worker would wait a whole second for what others tell of revoked
    tasks, and later read every heartbeat of every other one. Our tasks carry nothing that either could be of use to.
    """
    sender.options.update(without_mingle=True, without_gossip=True)


def leave_logging_to_django(**_: Any) -> None:
    """Celery would lower its own loggers to what ``-l`` says; here ``LOG_LEVEL`` decides for all."""


def install(app: Celery) -> None:
    signals.setup_logging.connect(leave_logging_to_django, weak=False)
    app.steps["worker"].add(WakeUp)
    signals.worker_init.connect(spare_the_neighbours, weak=False)
    signals.worker_init.connect(refuse_to_start_unready, weak=False)
    signals.worker_init.connect(mend_the_pool, weak=False)
    signals.worker_init.connect(count_for_prometheus, weak=False)
    signals.worker_shutting_down.connect(shutdown.announce, weak=False)
