"""The servers a run needs: a database of its own in PostgreSQL, and an SMTP sink that counts."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import psycopg2

POSTGRES = {
    "host": os.environ.get("PGHOST", "127.0.0.1"),
    "port": int(os.environ.get("PGPORT", "5432")),
    "user": os.environ.get("PGUSER", "postgres"),
}


def execute(database: str, statement: str) -> list[Any]:
    connection = psycopg2.connect(dbname=database, **POSTGRES)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def fresh_database(name: str) -> str:
    execute("postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    execute("postgres", f'CREATE DATABASE "{name}"')
    return name


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_listens(port: int, what: str) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"{what} does not listen on port {port}")


class Sink:
    """Postfix's smtp-sink, whose counters say when each message came; needs the Debian package postfix."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("smtp-sink", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise SystemExit("smtp-sink is missing: it is in Debian's package postfix.")
        self.port = free_port()
        self.log = folder / "sink.log"
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [program, *user, "-c", "-m", "200", f"127.0.0.1:{self.port}", "1000"], stdout=out, stderr=out
            )
        wait_until_it_listens(self.port, "smtp-sink")

    def received(self) -> int:
        found = re.findall(rb"mesg=(\d+)", self.log.read_bytes()[-200:])
        return int(found[-1]) if found else 0

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


class Watch(threading.Thread):
    """Notes when the sink's count first moved and when it reached what is awaited."""

    def __init__(self, sink: Sink, awaited: int, timeout: float) -> None:
        super().__init__(daemon=True)
        self.sink, self.awaited, self.timeout = sink, awaited, timeout
        self.base = sink.received()
        self.first = self.last = 0.0
        self.first_count = 0

    def run(self) -> None:
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            count = self.sink.received() - self.base
            if count and not self.first:
                self.first, self.first_count = time.monotonic(), count
            if count >= self.awaited:
                self.last = time.monotonic()
                return
            time.sleep(0.005)

    def rate(self) -> float:
        """Messages a second between the first and the last at the sink."""
        self.join()
        if not self.last:
            return 0.0
        return (self.awaited - self.first_count) / max(self.last - self.first, 0.001)
