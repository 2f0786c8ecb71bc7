"""Who runs: how each is set up, how it queues, how it drains."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import environments, servers

HERE = Path(__file__).resolve().parent


@dataclass
class Contestant:
    """A system under measurement. ``drain`` is a command of its environment that exits, or runs until stopped."""

    name: str
    environment: str
    backend: str
    apps: list[str]
    drain: list[str]
    table: str
    daemon: bool = False
    drain_settings: dict[str, Any] = field(default_factory=dict)
    send_settings: dict[str, Any] = field(default_factory=dict)
    service: bool = False

    @property
    def database(self) -> str:
        return "bench_" + self.name.replace("-", "_").replace(".", "_").replace(" ", "_")

    def variables(self, settings: dict[str, Any], smtp_port: int = 25) -> dict[str, str]:
        given = {"INSTALLED_APPS": ["django.contrib.contenttypes", "django.contrib.auth", *self.apps], **settings}
        return {
            **os.environ,
            "BENCH_DATABASE": self.database,
            "BENCH_SMTP_PORT": str(smtp_port),
            "BENCH_SETTINGS": json.dumps(given),
            "DJANGO_SETTINGS_MODULE": "project",
            "PYTHONPATH": os.pathsep.join([str(HERE), *([str(HERE.parent)] if self.ours else [])]),
        }

    @property
    def ours(self) -> bool:
        return self.environment == "ours"

    def python(self) -> str:
        return environments.python(self.environment)

    def set_up(self) -> None:
        servers.fresh_database(self.database)
        command = [self.python(), "-m", "django", "migrate", "-v0"]
        subprocess.run(command, env=self.variables(self.send_settings), check=True)

    def send(self, count: int, mode: str = "bulk") -> dict[str, float]:
        variables = self.variables({"EMAIL_BACKEND": self.backend, **self.send_settings})
        command = [self.python(), str(HERE / "application.py"), str(count), mode]
        done = subprocess.run(command, env=variables, check=True, capture_output=True, text=True)
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))

    def empty(self) -> None:
        servers.execute(self.database, f"TRUNCATE {self.table} CASCADE")
        servers.execute(self.database, f"VACUUM ANALYZE {self.table}")
        servers.execute(self.database, "CHECKPOINT")

    def start(self, smtp_port: int, folder: Path) -> subprocess.Popen[bytes]:
        variables = self.variables(self.drain_settings, smtp_port)
        if self.service:
            user, host, port = (servers.POSTGRES[key] for key in ("user", "host", "port"))
            variables.pop("DJANGO_SETTINGS_MODULE")
            variables.update(
                DATABASE_URL=f"postgres://{user}@{host}:{port}/{self.database}",
                EMAIL_HOST="127.0.0.1",
                EMAIL_PORT=str(smtp_port),
                CELERY_BROKER_URL=os.environ.get("BENCH_BROKER_URL", "redis://127.0.0.1:6379/9"),
            )
        with (folder / f"{self.name}.log").open("ab") as log:
            return subprocess.Popen(
                [self.python(), *self.drain], env=variables, stdout=log, stderr=log, start_new_session=True, cwd=folder
            )


OURS_BACKEND = "email_relay.backend.RelayDatabaseEmailBackend"
POST_OFFICE = {
    "POST_OFFICE": {
        "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
        "BATCH_SIZE": 1000,
        "THREADS_PER_PROCESS": 10,
        "LOG_LEVEL": 1,
    }
}
"""Its best settings for two cores."""
CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant(
            "worker", "ours", OURS_BACKEND, ["email_relay"],
            ["-m", "celery", "-A", "relay_worker", "worker", "-B", "-c", "2", "-l", "WARNING"],
            "email_relay_message", daemon=True, service=True,
        ),
        Contestant(
            "runrelay", "ours", OURS_BACKEND, ["email_relay"], ["-m", "django", "runrelay"],
            "email_relay_message", daemon=True,
        ),
        Contestant(
            "relay-0.6.0", "relay-0.6.0", OURS_BACKEND, ["email_relay"], ["-m", "django", "runrelay"],
            "email_relay_message", daemon=True,
            send_settings={"DJANGO_EMAIL_RELAY": {"DATABASE_ALIAS": "default"}},
            drain_settings={"DJANGO_EMAIL_RELAY": {"DATABASE_ALIAS": "default"}},
        ),
        Contestant(
            "post-office", "post-office", "post_office.EmailBackend", ["post_office"],
            ["-m", "django", "send_queued_mail", "--processes", "2"], "post_office_email",
            send_settings=POST_OFFICE,
            drain_settings=POST_OFFICE,
        ),
    )
}  # fmt: skip

LOOP = """
import smtplib, sys, time
port, count = int(sys.argv[1]), int(sys.argv[2])
content = open(sys.argv[3], "rb").read()
with smtplib.SMTP("127.0.0.1", port) as server:
    for number in range(count):
        server.sendmail("from@example.com", ["to@example.com"], content)
"""


def smtplib_loop(port: int, count: int, content: Path) -> list[subprocess.Popen[bytes]]:
    """Two processes that send rendered bytes and nothing else: what Python's library can do here."""
    return [subprocess.Popen([sys.executable, "-c", LOOP, str(port), str(count // 2), str(content)]) for _ in range(2)]
