"""One installation under fault: a database, an SMTP server that counts, and relays as real processes."""

from __future__ import annotations

import random
import socket
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping

from tests.chaos.tally import Cost, Tally
from tests.e2e.service import Service
from tests.support import postgres
from tests.support.brokers import Broker
from tests.support.postgres import Wheel
from tests.support.processes import Process
from tests.support.projects import Project
from tests.support.smtpserver import SmtpServer
from tests.support.urls import with_name
from tests.support.waiting import wait_until

QUEUED, SENT, SENDING = 1, 4, 5
SLOWLY = 0.02
"""Seconds before each reply, so that a fault comes in the middle."""
FILL = """
INSERT INTO email_relay_message (data, priority, status, retry_count, log, created_at, updated_at, mime, envelope_from,
                                 recipients, message_id, size, source, due_at, ready_at)
SELECT jsonb_build_object('subject', 'chaos', 'format', 2), 2, 1, 0, '', now(), now(),
       convert_to(E'Subject: ' || n || E'\\r\\n\\r\\nchaos\\r\\n', 'UTF8'), 'from@example.com',
       jsonb_build_array('to' || n || '@example.com'), '<' || n || '@example.com>', 30, 'source' || n %% 3, now(), now()
FROM generate_series(%s::int, %s::int) AS n
"""
HELD = """
SELECT recipients ->> 0, lease_token FROM email_relay_message
WHERE status = 5 AND (%s::text[] IS NULL OR worker = ANY(%s::text[]))
"""


@dataclass(frozen=True)
class Place:
    """Where an installation stands. ``postgres`` and ``broker`` are its own where they are given."""

    folder: Path
    url: str
    smtp: SmtpServer
    postgres: Wheel | None = None
    broker: Broker | None = None


class Installation:
    """What the processes have in common. The relays' leases are short, and they look again every half second."""

    def __init__(self, place: Place, messages: int, settings: Mapping[str, Any] | None = None) -> None:
        self.place, self.url, self.smtp, self.messages = place, place.url, place.smtp, messages
        self.filled = 0
        relay = {"EMPTY_QUEUE_SLEEP": 0.5, "LEASE_SECONDS": 3, "RETRY_BASE_SECONDS": 0.5, **(settings or {})}
        self.project = Project(
            place.folder,
            {"default": place.url},
            EMAIL_HOST=place.smtp.host,
            EMAIL_PORT=place.smtp.port,
            EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
            DJANGO_EMAIL_RELAY=relay,
        )
        variables = {f"DJANGO_EMAIL_RELAY__{key}": value for key, value in relay.items()}
        self.service = Service(place.folder, place.url, place.broker, place.smtp, **variables)
        self.service.migrate()

    # processes

    def relay(self, **env: object) -> Process:
        """A ``runrelay`` that is not started yet: a context manager."""
        return self.project.start("-m", "django", "runrelay", env=env)

    @contextmanager
    def workers(
        self, *names: str, beat: bool = True, env: Mapping[str, object] | None = None
    ) -> Iterator[list[Process]]:
        """Workers of two pool processes each, every one with a beat of its own, ready for work."""
        with ExitStack() as stack:
            started = [stack.enter_context(self.worker(name, beat=beat, env=env)) for name in names]
            for worker in started:
                worker.wait_ready(" ready.", 120)
            yield started

    def worker(self, name: str, *, beat: bool = True, env: Mapping[str, object] | None = None) -> Process:
        schedule = ("-B", "-s", str(self.place.folder / f"{name}-schedule")) if beat else ()
        return self.service.process(
            "-m", "celery", "-A", "relay_worker", "worker", "-c", "2", "-n", f"{name}@%h", *schedule, env=env
        )

    def beat(self) -> Process:
        """A beat by itself, that is not started yet."""
        schedule = str(self.place.folder / "beat")
        return self.service.process("-m", "celery", "-A", "relay_worker", "beat", "-s", schedule, "--pidfile=")

    # the queue

    def fill(self, count: int | None = None) -> None:
        count = self.messages if count is None else count
        self.execute(FILL, self.filled + 1, self.filled + count)
        self.filled += count

    def execute(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return _execute(self.url, sql, *parameters)

    def administer(self, sql: str) -> None:
        """From outside of the database: what is forbidden within it may be allowed there."""
        _execute(with_name(self.url, "postgres"), sql)

    @property
    def database(self) -> str:
        return self.url.rpartition("/")[2]

    def states(self) -> Counter[int]:
        return Counter(dict(self.execute("SELECT status, count(*) FROM email_relay_message GROUP BY status")))

    def held(self, *pids: int) -> dict[str, str]:
        """Recipient to lease token of what these processes have in hand; without pids, of what anybody has."""
        names = [f"{socket.gethostname()}:{pid}" for pid in pids] or None
        return dict(self.execute(HELD, names, names))

    def at_work(self) -> list[int]:
        """The processes that hold something."""
        rows = self.execute("SELECT DISTINCT worker FROM email_relay_message WHERE status = 5 ORDER BY 1")
        return [int(worker.rpartition(":")[2]) for (worker,) in rows]

    def charged(self) -> list[tuple[Any, ...]]:
        """Messages that were charged an attempt or a lapse, or failed."""
        return self.execute("SELECT id FROM email_relay_message WHERE retry_count > 0 OR lapse_count > 0 OR status = 3")

    # waiting

    def in_the_middle(self, done: int | None = None) -> None:
        """Until so many are sent, or at a random instant of the drain."""
        self.smtp.wait_for(done or random.randint(1, max(1, int(0.7 * self.messages))), 90)

    def wait_until_all_sent(self, *relays: Process, timeout: float = 120) -> None:
        self.smtp.script.delay = 0
        wait_until(
            lambda: self.states()[SENT] == self.filled,
            timeout,
            lambda: f"{self.filled} sent; there are {self.states()}\n" + "\n".join(relay.tail(20) for relay in relays),
            interval=0.1,
        )

    # what it comes to

    def tally(self, fault: str, cost: Cost) -> Tally:
        arrived = Counter(to for message in list(self.smtp.received) for to in message.rcpt_to)
        return Tally.of(fault, arrived, (f"to{n}@example.com" for n in range(1, self.filled + 1)), cost)


def end_well(processes: Iterable[Process]) -> None:
    """All are asked to stop, and each ends with 0."""
    for process in processes:
        assert process.terminate() == 0, process.tail()


def _execute(url: str, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    connection = postgres.connect(url)
    try:
        cursor = connection.cursor()
        cursor.execute(sql, parameters or None)
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()
