"""A PgBouncer of the tests' own, before the tests' PostgreSQL."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator
from urllib.parse import urlsplit

from tests.support.ports import free_port, listens
from tests.support.processes import Process
from tests.support.urls import parse_url
from tests.support.waiting import wait_until

CONFIGURATION = """\
[databases]
* = {target}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
ignore_startup_parameters = extra_float_digits
{options}
"""
NOT_ROOT = "nobody"
"""PgBouncer does not run as root."""


class NoPooler(Exception):
    """PgBouncer is not installed."""


class PgBouncer:
    """One process on a free port, that leads to the server of *url*; it may be stopped and started again."""

    def __init__(self, directory: Path, url: str, **options: object) -> None:
        self.port, self.target = free_port(), url
        binary = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if binary is None:
            raise NoPooler("there is no pgbouncer to start")
        if os.geteuid() == 0:
            options["user"] = NOT_ROOT
        file = Path(directory) / f"pgbouncer-{self.port}.ini"
        lines = "\n".join(f"{name} = {value}" for name, value in options.items())
        file.write_text(CONFIGURATION.format(target=self._target(), port=self.port, options=lines))
        self.process = Process([binary, file], log=file.with_suffix(".log"))

    def _target(self) -> str:
        entry = parse_url(self.target)
        words = {"host": entry["HOST"], "port": entry["PORT"], "user": entry["USER"], "password": entry["PASSWORD"]}
        return " ".join(f"{word}={value}" for word, value in words.items() if value)

    @property
    def url(self) -> str:
        """Where clients find the database of ``target``."""
        parts = urlsplit(self.target)
        return f"postgresql://{parts.username or 'postgres'}@127.0.0.1:{self.port}{parts.path}"

    def start(self) -> None:
        self.process.start()
        wait_until(lambda: listens(self.port), 60, lambda: f"PgBouncer to listen:\n{self.process.tail()}")

    def stop(self) -> None:
        """At once, whatever is under way."""
        self.process.kill()


@contextmanager
def pgbouncer(directory: Path, url: str, **options: object) -> Iterator[PgBouncer]:
    """A running one; raises NoPooler."""
    pooler = PgBouncer(directory, url, **options)
    try:
        pooler.start()
        yield pooler
    finally:
        pooler.stop()
