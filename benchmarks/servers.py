"""The servers a run needs: databases in PostgreSQL, a Redis, an SMTP sink that counts, a proxy that is late."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable

import psycopg2

POSTGRES = {
    "host": os.environ.get("PGHOST", "127.0.0.1"),
    "port": int(os.environ.get("PGPORT", "5432")),
    "user": os.environ.get("PGUSER", "postgres"),
}
PATH = f"{os.environ['PATH']}:/usr/sbin"


def execute(database: str, statement: str, parameters: Any = None) -> list[Any]:
    connection = psycopg2.connect(dbname=database, **POSTGRES)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def fresh_database(name: str) -> str:
    drop_database(name)
    execute("postgres", f'CREATE DATABASE "{name}"')
    return name


def drop_database(name: str) -> None:
    execute("postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def durability() -> str:
    """That what is measured is what production pays for."""
    shown = [f"{name}={execute('postgres', f'SHOW {name}')[0][0]}" for name in ("fsync", "synchronous_commit")]
    return f"PostgreSQL {execute('postgres', 'SHOW server_version')[0][0]}, {', '.join(shown)}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_listens(port: int, what: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"{what} does not listen on port {port}")


class Redis:
    """A broker of its own: emptying it hurts nobody."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until_it_listens(self.port, "redis-server")

    def url(self, number: int) -> str:
        return f"redis://127.0.0.1:{self.port}/{number}"

    def empty(self) -> None:
        command = ["redis-cli", "-p", str(self.port), "flushall"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


class Sink:
    """Postfix's smtp-sink, whose counters say when each message came; needs the Debian package postfix."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("smtp-sink", path=PATH)
        if program is None:
            raise SystemExit("smtp-sink is missing: it is in Debian's package postfix.")
        self.port = free_port()
        self.log = folder / f"sink-{self.port}.log"
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [program, *user, "-c", "-m", "500", f"127.0.0.1:{self.port}", "1000"], stdout=out, stderr=out
            )
        wait_until_it_listens(self.port, "smtp-sink")

    def received(self) -> int:
        with self.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 200))
            found = re.findall(rb"mesg=(\d+)", log.read())
        return int(found[-1]) if found else 0

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


class Late:
    """A proxy before a server, each of whose answers it hands on so many seconds late."""

    def __init__(self, target: int, seconds: float) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "benchmarks.delay", str(self.port), str(target), str(seconds)]
        self.process = subprocess.Popen(command, cwd=Path(__file__).resolve().parent.parent)
        wait_until_it_listens(self.port, "the delaying proxy")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


class Watch(threading.Thread):
    """Notes when the sink's count first moved and when it reached what is awaited.

    *at_first* is called when the first is there: what it returns is kept as *sampled*.
    """

    def __init__(self, sink: Sink, awaited: int, timeout: float, at_first: Callable[[], float] | None = None) -> None:
        super().__init__(daemon=True)
        self.sink, self.awaited, self.timeout, self.at_first = sink, awaited, timeout, at_first
        self.base = sink.received()
        self.first = self.last = 0.0
        self.first_count = 0
        self.sampled: float | None = None
        self.start()

    def run(self) -> None:
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            count = self.sink.received() - self.base
            if count and not self.first:
                self.first, self.first_count = time.monotonic(), count
                if self.at_first is not None:
                    self.sampled = self.at_first()
            if count >= self.awaited:
                self.last = time.monotonic()
                return
            time.sleep(0.005)

    def rate(self) -> float:
        """Messages a second between the first and the last at the sink; 0 if not all came."""
        self.join()
        if not self.last:
            return 0.0
        return (self.awaited - self.first_count) / max(self.last - self.first, 0.001)
