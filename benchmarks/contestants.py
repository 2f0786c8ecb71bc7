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
SMTP_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
OURS_BACKEND = "email_relay.backend.RelayDatabaseEmailBackend"


@dataclass
class Contestant:
    """A system under measurement. ``drain`` is a command of its environment that exits, or runs until stopped."""

    name: str
    environment: str
    backend: str
    apps: list[str]
    drain: list[str]
    table: str = ""
    drain_settings: dict[str, Any] = field(default_factory=dict)
    send_settings: dict[str, Any] = field(default_factory=dict)
    service: bool = False
    celery_project: bool = False
    redis: servers.Redis | None = None
    redis_number: int = 9

    @property
    def database(self) -> str:
        """Of this run alone: another one may be going on."""
        return f"bench_{os.getpid()}_" + "".join(letter if letter.isalnum() else "_" for letter in self.name)

    def variables(self, settings: dict[str, Any], smtp_port: int = 25) -> dict[str, str]:
        given = {"INSTALLED_APPS": ["django.contrib.contenttypes", "django.contrib.auth", *self.apps], **settings}
        return {
            **os.environ,
            "BENCH_DATABASE": self.database,
            "BENCH_SMTP_PORT": str(smtp_port),
            "BENCH_SETTINGS": json.dumps(given),
            "DJANGO_SETTINGS_MODULE": "project",
            "PYTHONPATH": os.pathsep.join([str(HERE), *([str(HERE.parent)] if self.ours else [])]),
            **({"CELERY_BROKER_URL": self.redis.url(self.redis_number)} if self.redis else {}),
            **({"BENCH_CELERY_PROJECT": "yes"} if self.celery_project else {}),
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

    def tear_down(self) -> None:
        servers.drop_database(self.database)

    def sender(self) -> dict[str, str]:
        return self.variables({"EMAIL_BACKEND": self.backend, **self.send_settings})

    def send(self, count: int, mode: str = "bulk") -> dict[str, float]:
        command = [self.python(), str(HERE / "application.py"), str(count), mode]
        done = subprocess.run(command, env=self.sender(), check=True, stdout=subprocess.PIPE, text=True)
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))

    def empty(self) -> None:
        if self.redis:
            self.redis.empty()
        if self.table:
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
                **{name: str(value) for name, value in self.drain_settings.items()},
            )
        with (folder / f"{self.database}.log").open("ab") as log:
            return subprocess.Popen(
                [self.python(), *self.drain], env=variables, stdout=log, stderr=log, start_new_session=True, cwd=folder
            )


def worker(name: str, processes: int, redis: servers.Redis, **variables: Any) -> Contestant:
    """Ours under Celery."""
    command = ["-m", "celery", "-A", "relay_worker", "worker", "-B", "-c", str(processes), "-l", "WARNING"]
    return Contestant(
        name, "ours", OURS_BACKEND, ["email_relay"], command, "email_relay_message",
        service=True, redis=redis, drain_settings=variables,
    )  # fmt: skip


def runrelay(name: str = "runrelay", **settings: Any) -> Contestant:
    """Ours without Celery."""
    return Contestant(
        name, "ours", OURS_BACKEND, ["email_relay"], ["-m", "django", "runrelay"], "email_relay_message",
        drain_settings={"DJANGO_EMAIL_RELAY": settings} if settings else {},
    )  # fmt: skip


def relay_0_6_0() -> Contestant:
    settings = {"DJANGO_EMAIL_RELAY": {"DATABASE_ALIAS": "default"}}
    return Contestant(
        "relay-0.6.0", "relay-0.6.0", OURS_BACKEND, ["email_relay"], ["-m", "django", "runrelay"],
        "email_relay_message", send_settings=settings, drain_settings=settings,
    )  # fmt: skip


def post_office() -> Contestant:
    """With its best settings for two cores."""
    settings = {
        "POST_OFFICE": {
            "BACKENDS": {"default": SMTP_BACKEND},
            "BATCH_SIZE": 1000,
            "THREADS_PER_PROCESS": 10,
            "LOG_LEVEL": 1,
        }
    }
    return Contestant(
        "post-office", "post-office", "post_office.EmailBackend", ["post_office"],
        ["-m", "django", "send_queued_mail", "--processes", "2"], "post_office_email",
        send_settings=settings, drain_settings=settings,
    )  # fmt: skip


def celery_email(redis: servers.Redis) -> Contestant:
    settings = {"CELERY_EMAIL_BACKEND": SMTP_BACKEND}
    return Contestant(
        "celery-email", "celery-email", "djcelery_email.backends.CeleryEmailBackend", ["djcelery_email"],
        ["-m", "celery", "-A", "celery_project", "worker", "-c", "2", "-l", "WARNING"],
        send_settings=settings, drain_settings=settings, celery_project=True, redis=redis,
    )  # fmt: skip


def runmailer_pg() -> Contestant:
    settings = {"MAILER_EMAIL_BACKEND": SMTP_BACKEND}
    return Contestant(
        "runmailer_pg", "mailer", "mailer.backend.DbBackend", ["mailer"], ["-m", "django", "runmailer_pg"],
        "mailer_message", send_settings=settings, drain_settings=settings,
    )  # fmt: skip


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
