"""The service as it is deployed: the real worker, its database, its broker, and clients beside it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Mapping

from tests.support import postgres
from tests.support.brokers import Broker
from tests.support.processes import ROOT, Process, environment
from tests.support.smtpserver import SmtpServer
from tests.support.waiting import wait_until

SENT, SENDING = 4, 5
WORKER = ("-m", "celery", "-A", "relay_worker", "worker", "-B", "-c", "2")


class Service:
    """One installation: what its processes have in common."""

    def __init__(self, folder: Path, url: str, broker: Broker | None, smtp: SmtpServer, **variables: object) -> None:
        self.folder, self.url, self.smtp = folder, url, smtp
        self.env = {
            "DATABASE_URL": url,
            "EMAIL_HOST": smtp.host,
            "EMAIL_PORT": smtp.port,
            "RELAY_VAR": folder / "var",
            "DJANGO_EMAIL_RELAY__EMPTY_QUEUE_SLEEP": 1,
            "LOG_LEVEL": "INFO",
            "C_FORCE_ROOT": 1,
            **(broker.env if broker else {}),
            **variables,
        }
        self.processes = 0

    def migrate(self) -> None:
        command = [sys.executable, "-m", "relay_worker.cli", "migrate", "-v0"]
        subprocess.run(command, env=environment(self.env), cwd=self.folder, check=True, timeout=120)

    def process(self, *arguments: str, env: Mapping[str, object] | None = None) -> Process:
        self.processes += 1
        log = self.folder / f"process-{self.processes}.log"
        return Process.python(*arguments, log=log, env={**self.env, **(env or {})}, cwd=self.folder)

    @contextmanager
    def worker(self, *arguments: str) -> Iterator[Process]:
        with self.process(*(arguments or WORKER)) as process:
            wait_until(
                lambda: " ready." in process.output or not process.running,
                90,
                lambda: f"the worker to be ready:\n{process.tail()}",
            )
            assert process.running, process.tail()
            yield process

    def clients(self, *sources: str, count: int = 100) -> None:
        """Run client processes beside each other, to their end."""
        command = [sys.executable, "-m", "tests.e2e.client"]
        running = [
            subprocess.Popen([*command, source, str(count)], env=environment(self.env), cwd=ROOT) for source in sources
        ]
        assert [process.wait(120) for process in running] == [0] * len(sources)

    def rows(self, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        connection = postgres.connect(self.url)
        try:
            cursor = connection.cursor()
            cursor.execute(f"SELECT {columns} FROM email_relay_message WHERE {where}")
            return list(cursor.fetchall())
        finally:
            connection.close()

    def states(self) -> Counter[int]:
        return Counter(status for (status,) in self.rows("status"))

    def wait_until_sent(self, count: int, worker: Process, timeout: float = 120) -> None:
        wait_until(
            lambda: self.states()[SENT] == count,
            timeout,
            lambda: f"{count} sent, states are {self.states()}:\n{worker.tail()}",
            interval=0.1,
        )


def assert_exactly_once(service: Service, smtp: SmtpServer) -> None:
    """The server holds each message once, and its bytes and envelope are those of the row."""
    queued = sorted((bytes(mime), tuple(to)) for mime, to in service.rows("mime, recipients"))
    arrived = sorted((message.content, message.rcpt_to) for message in smtp.received)
    assert len(arrived) == len(queued)
    assert arrived == queued
