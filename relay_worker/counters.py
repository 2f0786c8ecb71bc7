"""What this process counts for Prometheus: an observer of the engine."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

from email_relay.models import Priority, Status
from email_relay.relay.faults import described
from email_relay.relay.observers import observers
from email_relay.relay.outcomes import Verdict
from relay_worker.counterfiles import FOLDER, CounterFiles
from relay_worker.var import var_folder

logger = logging.getLogger("relay_worker")

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
NETWORK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
WAITING = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400)


class Counters:
    """See `email_relay.relay.observers.Observer`."""

    def __init__(self, files: CounterFiles) -> None:
        self.files = files  # whose lock says that this process lives
        self.attempts = _counter(
            "attempts",
            "Verdicts recorded, by what the deciding reply was.",
            ["outcome", "smtp_class", "source", "server"],
        )
        self.heartbeats = _counter("heartbeats", "Heartbeats by their result.", ["result"])
        self.latency = _histogram(
            "queue_latency_seconds", "From due to accepted, of sent messages.", ["priority"], WAITING
        )
        self.transaction = _histogram("smtp_transaction_seconds", "One SMTP transaction.", ["server"], NETWORK)
        self.steps = {
            "connect": _histogram(
                "smtp_connect_seconds", "From connect to the end of the login.", ["server", "succeeded"], NETWORK
            ),
            "claim": _histogram("claim_seconds", "One claim from the database.", ["server", "succeeded"], QUICK),
            "settle": _histogram("settle_seconds", "Recording some verdicts.", ["server", "succeeded"], QUICK),
        }

    def took(self, step: str, seconds: float, *, server: str, succeeded: bool) -> None:
        self.steps[step].labels(server, "yes" if succeeded else "no").observe(seconds)

    def recorded(self, verdict: Verdict, *, server: str, now: datetime) -> None:
        message = verdict.message
        self.attempts.labels(verdict.status.name.lower(), smtp_class(verdict), message.source, server).inc()
        if verdict.attempted:
            self.transaction.labels(server).observe(verdict.seconds)
        if verdict.status == Status.SENT:
            waited = (now - message.ready_at).total_seconds()
            self.latency.labels(Priority(message.priority).name.lower()).observe(max(waited, 0.0))

    def beat(self, result: str) -> None:
        self.heartbeats.labels(result).inc()


def smtp_class(verdict: Verdict) -> str:
    """One of "2xx", "4xx", "5xx"; "none" without a reply, "untried" for what was judged without an attempt."""
    if not verdict.attempted:
        return "untried"
    return f"{verdict.final.code // 100}xx" if verdict.final.code else "none"


def counter_files() -> CounterFiles:
    """Those of this machine, or of all containers that share the folder."""
    given = os.environ.get(FOLDER)
    return CounterFiles(Path(given) if given else var_folder() / "metrics")


def install(**_: Any) -> None:
    """Count in this process and in those it forks. What keeps it from counting is logged and keeps it from nothing else."""
    files = counter_files()
    try:
        files.begin()
        observers.append(Counters(files))
        _serve(files)
    except Exception as error:  # noqa: BLE001 - counting is never worth a message
        logger.error("metrics are not complete: %s", described(error))  # noqa: TRY400 - one line is enough


def end(**_: Any) -> None:
    """A pool process leaves."""
    for observer in [one for one in observers if isinstance(one, Counters)]:
        observers.remove(observer)
        observer.files.end()


def _serve(files: CounterFiles) -> None:
    """A port of this worker's own, for a machine where no site runs."""
    port = getattr(settings, "METRICS_PORT", None)
    if port is not None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(files)
        start_http_server(port, registry=registry)


def _counter(name: str, words: str, labels: list[str]) -> Counter:
    return Counter(f"email_relay_{name}", words, labels, registry=None)


def _histogram(name: str, words: str, labels: list[str], buckets: tuple[float, ...]) -> Histogram:
    return Histogram(f"email_relay_{name}", words, labels, registry=None, buckets=buckets)
