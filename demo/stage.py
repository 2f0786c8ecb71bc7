"""What the demonstration runs on: a database, an SMTP server, the worker; and the two projects that send.

Everything is started here, lives in one temporary directory, and is gone when the context ends.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from tests.support import postgres
from tests.support.databases import postgresql_database
from tests.support.processes import Process
from tests.support.smtpserver import SmtpServer

PROJECTS = {"shop": "sendorders", "clinic": "sendreminders"}
HERE = Path(__file__).resolve().parent
FOREIGN = ("EMAIL_", "DJANGO_", "CELERY_", "DATABASE", "RELAY_")


@contextmanager
def relay_database() -> Iterator[str]:
    """The URL of a new database: on the server of DATABASE_URL, or on one out of a wheel."""
    given = os.environ.get(postgres.VARIABLE) or os.environ.get("DATABASE_URL")
    wheel = None if given else postgres.Wheel()
    os.environ[postgres.VARIABLE] = given or wheel.start()  # type: ignore[union-attr]
    try:
        with postgresql_database("relay_demo") as url:
            yield url
    finally:
        if wheel is not None:
            wheel.stop()


@dataclass
class Stage:
    """The running parts; ``directory`` holds their logs."""

    directory: Path
    url: str
    smtp: SmtpServer

    @property
    def service_env(self) -> dict[str, object]:
        return {
            **dict.fromkeys(name for name in os.environ if name.startswith(FOREIGN)),
            "DATABASE_URL": self.url,
            "EMAIL_HOST": self.smtp.host,
            "EMAIL_PORT": self.smtp.port,
            "RELAY_VAR": self.directory / "var",
            "DJANGO_EMAIL_RELAY__EMPTY_QUEUE_SLEEP": 1,
            "C_FORCE_ROOT": 1,
        }

    def process(self, name: str, *arguments: object) -> Process:
        return Process.python(*arguments, log=self.directory / f"{name}.log", env=self.service_env, cwd=self.directory)

    def migrate(self) -> None:
        with self.process("migrate", "-m", "relay_worker.cli", "migrate", "-v0") as process:
            if process.wait(120):
                raise RuntimeError(f"migrate failed:\n{process.tail()}")

    def worker(self) -> Process:
        return self.process("worker", "-m", "celery", "-A", "relay_worker", "worker", "-B", "-c", "2")

    def project(self, name: str) -> Process:
        env = {
            **dict.fromkeys(name for name in os.environ if name.startswith(FOREIGN)),
            "RELAY_DATABASE_URL": self.url,
        }
        folder = HERE / "projects" / name
        command = (folder / "manage.py", PROJECTS[name])
        return Process.python(*command, log=self.directory / f"{name}.log", env=env, cwd=folder)


@contextmanager
def stage(directory: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        url = stack.enter_context(relay_database())
        smtp = stack.enter_context(SmtpServer(greeting="220 mail.premises.example ESMTP"))
        yield Stage(directory, url, smtp)


def clean_up_on_sigterm() -> None:
    """Let a SIGTERM unwind the contexts, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
