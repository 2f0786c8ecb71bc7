"""The systemd units and the crontab of the documentation, run as systemd and cron would: a bare environment, one main process."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys

import pytest

from tests.docs.pages import DOCS, FENCE
from tests.support import postgres
from tests.support.processes import ROOT, Process, environment
from tests.support.projects import Project
from tests.support.waiting import wait_until

UNITS = ROOT / "docker" / "systemd"
BARE = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
"""What systemd and cron give, more or less."""


@pytest.fixture
def programs(tmp_path):
    """The virtual environment's ``bin``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, module in (("email-relay", "relay_worker.cli"), ("celery", "celery")):
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


class Unit(Process):
    """A unit's main process: its command, the variables of its environment file, its umask; no variable else."""

    def __init__(self, name, programs, state, variables):
        text = (UNITS / f"{name}.service").read_text(encoding="utf-8")
        command = shlex.split(re.search(r"^ExecStart=(.+)$", text, re.MULTILINE)[1])
        umask = re.search(r"^UMask=(\d+)$", text, re.MULTILINE)[1]
        command[0] = command[0].replace("/opt/email-relay/bin", str(programs))
        super().__init__(["sh", "-c", f'umask {umask} && exec "$@"', name, *command], log=state / f"{name}.log")
        self.cwd, self.env = state, {**BARE, **variables}
        self.stop_seconds = int(re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)[1])

    def stop(self):
        """By KillMode=mixed: SIGTERM to the main process alone, SIGKILL to what is left after the time-out."""
        self.send(signal.SIGTERM)
        return self.wait(self.stop_seconds)


@pytest.fixture
def variables(postgresql_database, smtp_server):
    """The environment file of the documentation, with this test's addresses."""
    named = re.findall(r"^ *([A-Z_]+)=", environment_file(), re.MULTILINE)
    ours = {
        "DATABASE_URL": postgresql_database,
        "CELERY_BROKER_URL": "filesystem://",
        "EMAIL_HOST": smtp_server.host,
        "EMAIL_PORT": str(smtp_server.port),
    }
    assert set(named) == set(ours)
    root = {"C_FORCE_ROOT": "1"}  # the unit has a user of its own
    return {**ours, **root}


def environment_file():
    page = (DOCS / "how-to" / "without-containers.md").read_text(encoding="utf-8")
    return next(match["body"] for match in FENCE.finditer(page) if match["language"] == "shell")


def migrate(programs, state, variables):
    command = [str(programs / "email-relay"), "migrate", "-v0"]
    subprocess.run(command, env={**BARE, **variables}, cwd=state, check=True, timeout=120)


def queue(url, count=1):
    command = [sys.executable, "-m", "tests.e2e.client", "units", str(count)]
    subprocess.run(command, env=environment({"DATABASE_URL": url}), cwd=ROOT, check=True, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "sign"), [("email-relay-runrelay", "relay started"), ("email-relay-worker", " ready.")]
)
def test_the_unit_delivers_and_stops(unit, sign, programs, tmp_path, variables, postgresql_database, smtp_server):
    migrate(programs, tmp_path, variables)
    with Unit(unit, programs, tmp_path, variables) as process:
        process.wait_ready(sign, 90)
        queue(postgresql_database)
        smtp_server.wait_for(1)
        assert process.stop() == 0, process.tail()
        wait_until(lambda: not process.group_running, 30, "the end of the children")
    readable = [path for path in (tmp_path / "var").rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert readable == [], "for the owner alone"


def test_pages_and_flower_are_not_open_to_the_network():
    for name in ("web", "flower"):
        command = re.search(r"^ExecStart=(.+)$", (UNITS / f"email-relay-{name}.service").read_text(), re.MULTILINE)[1]
        assert "127.0.0.1" in command


def crontab_command():
    page = (DOCS / "how-to" / "without-containers.md").read_text(encoding="utf-8")
    [line] = [match["body"].strip() for match in FENCE.finditer(page) if match["language"] == "text"]
    return re.fullmatch(r"(?:\S+ ){5}(.+)", line)[1]


@pytest.mark.slow
def test_cron_drains_and_two_that_overlap_do_no_harm(tmp_path, postgresql_database, smtp_server):
    folder = tmp_path / "intranet"
    project = Project(
        folder, {"default": postgresql_database}, EMAIL_HOST=smtp_server.host, EMAIL_PORT=smtp_server.port
    )
    project.manage("migrate", "-v0")
    (folder / "manage.py").write_text(
        "import os, sys\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'site_settings'\n"
        "from django.core.management import execute_from_command_line\n"
        "execute_from_command_line(sys.argv)\n"
    )
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    queue(postgresql_database, 40)
    command = ["/bin/sh", "-c", crontab_command().replace("/srv/intranet", str(folder))]
    running = [subprocess.Popen(command, env=BARE, cwd="/") for _ in range(2)]
    assert [process.wait(120) for process in running] == [0, 0]
    assert len(smtp_server.received) == 40
    assert statuses(postgresql_database) == [(4, 40)]


def statuses(url):
    connection = postgres.connect(url)
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT status, count(*) FROM email_relay_message GROUP BY status")
        return [tuple(row) for row in cursor.fetchall()]
    finally:
        connection.close()
