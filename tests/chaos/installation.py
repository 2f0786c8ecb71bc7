"""One installation under fault: a database, an SMTP server that counts, and relays as real processes."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import postgres
from tests.support.processes import Process
from tests.support.projects import Project
from tests.support.smtpserver import SmtpServer
from tests.support.waiting import wait_until

QUEUED, SENT, SENDING = 1, 4, 5
FILL = """
INSERT INTO email_relay_message (data, priority, status, retry_count, log, created_at, updated_at, mime, envelope_from,
                                 recipients, message_id, size, source, due_at, ready_at)
SELECT jsonb_build_object('subject', 'chaos', 'format', 2), 2, 1, 0, '', now(), now(),
       convert_to(E'Subject: ' || n || E'\\r\\n\\r\\nchaos\\r\\n', 'UTF8'), 'from@example.com',
       jsonb_build_array('to' || n || '@example.com'), '<' || n || '@example.com>', 30, 'source' || n %% 3, now(), now()
FROM generate_series(%s::int, %s::int) AS n
"""


@dataclass(frozen=True)
class Tally:
    """What a fault did to the mail. ``allowed``: how many may be doubled by P2."""

    fault: str
    sent: int
    lost: int
    doubled: int
    allowed: int

    @property
    def well(self) -> bool:
        return not self.lost and self.doubled <= self.allowed


class Installation:
    """What the processes have in common. The relays' leases are short, and they look again every half second."""

    def __init__(self, folder: Path, url: str, smtp: SmtpServer, **settings: Any) -> None:
        self.url, self.smtp = url, smtp
        self.numbers = itertools.count(1)
        self.filled = 0
        relay = {"EMPTY_QUEUE_SLEEP": 0.5, "LEASE_SECONDS": 3, "RETRY_BASE_SECONDS": 0.5, **settings}
        self.project = Project(
            folder,
            {"default": url},
            EMAIL_HOST=smtp.host,
            EMAIL_PORT=smtp.port,
            EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
            DJANGO_EMAIL_RELAY=relay,
        )
        self.project.manage("migrate", "-v0")

    def relay(self) -> Process:
        """A relay that is not started yet: a context manager."""
        return self.project.start("-m", "django", "runrelay")

    def fill(self, count: int) -> None:
        self.execute(FILL, self.filled + 1, self.filled + count)
        self.filled += count

    def execute(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        connection = postgres.connect(self.url)
        try:
            cursor = connection.cursor()
            cursor.execute(sql, parameters or None)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def states(self) -> Counter[int]:
        return Counter(dict(self.execute("SELECT status, count(*) FROM email_relay_message GROUP BY status")))

    def wait_until_all_sent(self, *relays: Process, timeout: float = 120) -> None:
        wait_until(
            lambda: self.states()[SENT] == self.filled,
            timeout,
            lambda: f"{self.filled} sent; there are {self.states()}\n" + "\n".join(relay.tail(20) for relay in relays),
            interval=0.1,
        )

    def wait_for_quiet(self) -> None:
        """Until no session is open: what a dead relay had written has been read."""
        wait_until(lambda: not self.smtp.live, 60, "the end of all sessions")

    def tally(self, fault: str, allowed: int = 0) -> Tally:
        arrived = Counter(to for message in list(self.smtp.received) for to in message.rcpt_to)
        wanted = {f"to{n}@example.com" for n in range(1, self.filled + 1)}
        doubled = sum(arrived.values()) - len(arrived)
        return Tally(fault, len(arrived), len(wanted - set(arrived)), doubled, allowed)
