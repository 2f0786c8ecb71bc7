"""The service with its web pages, as an operator has it."""

from __future__ import annotations

import urllib.request
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.service import Service
from tests.support.ports import free_port
from tests.support.smtpserver import SmtpServer
from tests.support.waiting import wait_until

USER, PASSWORD = "boss", "correct horse"


class Office(Service):
    """The service with its web pages; ``site`` is where they are."""

    site = ""

    def __init__(self, folder: Path, url: str, smtp: SmtpServer, **variables: object) -> None:
        super().__init__(folder, url, None, smtp, ADMIN_USERNAME=USER, ADMIN_PASSWORD=PASSWORD, **variables)
        self.smtp = smtp

    @contextmanager
    def web(self):
        port = free_port()
        self.site = f"http://127.0.0.1:{port}"
        with self.process("-m", "relay_worker.cli", "web", "--bind", f"127.0.0.1:{port}") as process:
            wait_until(self.answers, 60, lambda: f"the web pages:\n{process.tail()}")
            yield

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.site}/readyz", timeout=10) as answer:
                return answer.status == 200
        except OSError:
            return False

    @contextmanager
    def relay(self):
        with self.process("-m", "relay_worker.cli", "run") as process:
            yield process
            process.terminate()
