"""``/metrics`` for Prometheus: gauges read from the relay database at each scrape, and the counters of this machine's workers.

The cost does not grow with what was sent long ago: depths count what waits, rates look at the last minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from email_relay.db import database_now, relay_alias
from email_relay.models import CLAIMABLE, Message, Priority, Server, Status, Worker
from email_relay.relay.health import LATELY_SECONDS, oldest_due_age, settled_lately
from relay_worker.counters import counter_files

OPEN = [*CLAIMABLE, Status.SENDING, Status.HELD]


class QueueCollector:
    """Gauges about queue, servers and workers."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.now = database_now(alias)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield self._depth()
        yield self._oldest()
        yield self._settled()
        yield self._circuits()
        yield from self._workers()

    def _depth(self) -> GaugeMetricFamily:
        family = _gauge("queue_messages", "Messages that wait or are being sent.", ["status", "source", "priority"])
        for status in OPEN:  # one by one: each has an index, and what was sent is not read
            rows = Message.objects.using(self.alias).filter(status=status).order_by()
            for source, priority, count in rows.values_list("source", "priority").annotate(Count("id")):
                family.add_metric([_name(Status(status)), source, _name(Priority(priority))], count)
        return family

    def _oldest(self) -> GaugeMetricFamily:
        family = _gauge("oldest_due_age_seconds", "Age of the oldest message that is due.")
        age = oldest_due_age(self.alias)
        family.add_metric([], age.total_seconds() if age else 0)
        return family

    def _settled(self) -> GaugeMetricFamily:
        family = _gauge("settled_recent", f"Messages settled in the last {LATELY_SECONDS} s.", ["outcome"])
        for outcome, count in settled_lately(self.alias).items():
            family.add_metric([outcome], count)
        return family

    def _circuits(self) -> GaugeMetricFamily:
        family = _gauge("circuit_open", "1 while the SMTP server is unavailable.", ["server"])
        for name, opened_at in Server.objects.using(self.alias).values_list("name", "opened_at"):
            family.add_metric([name], int(opened_at is not None))
        return family

    def _workers(self) -> Iterator[GaugeMetricFamily]:
        seen = _gauge("worker_seen_age_seconds", "Since a relay process was last seen.", ["worker"])
        beats = _gauge("heartbeat_age_seconds", "Since the last heartbeat of any relay.")
        rows = list(Worker.objects.using(self.alias).values_list("name", "seen_at", "heartbeat_at"))
        for name, seen_at, _ in rows:
            seen.add_metric([name], (self.now - seen_at).total_seconds())
        latest = max((beat for *_, beat in rows if beat), default=None)
        if latest is not None:
            beats.add_metric([], (self.now - latest).total_seconds())
        yield seen
        yield beats


def _gauge(name: str, words: str, labels: list[str] | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"email_relay_{name}", words, labels=labels or [])


def _name(choice: Any) -> str:
    return str(choice.name).lower()


@require_safe
def view(request: HttpRequest) -> HttpResponse:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(QueueCollector(relay_alias()))
    registry.register(counter_files())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
