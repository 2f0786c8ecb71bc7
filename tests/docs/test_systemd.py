"""The systemd units are valid, and as closed as they claim to be."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from email_relay.relay.transport.config import COMMAND_TIMEOUT
from tests.docs.pages import ROOT
from tests.support.needs import missing

UNITS = sorted((ROOT / "docker" / "systemd").glob("*.service"))
MOST_EXPOSED = 15
"""systemd's own score times ten: 0 is closed, 100 is open; what is left is the network, which a relay is for."""


def _ids(unit):
    return unit.name


def soft_shutdown_seconds() -> float:
    settings = (ROOT / "relay_worker" / "settings.py").read_text(encoding="utf-8")
    return float(re.search(r"^CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = ([\d.]+)$", settings, re.MULTILINE)[1])


@pytest.fixture
def analyze() -> str:
    return shutil.which("systemd-analyze") or missing("systemd-analyze", "it is in Debian's package systemd")


@pytest.mark.parametrize("unit", UNITS, ids=_ids)
def test_a_stopped_unit_leaves_the_drain_time_to_finish(unit):
    text = unit.read_text(encoding="utf-8")
    assert "KillMode=mixed" in text
    drains = "worker" in unit.stem or "runrelay" in unit.stem
    # Celery's soft shutdown, then the answer to a command the server was sent at that very moment
    needed = soft_shutdown_seconds() + COMMAND_TIMEOUT if drains else 20
    assert int(re.search(r"TimeoutStopSec=(\d+)", text)[1]) >= needed


@pytest.mark.parametrize("unit", UNITS, ids=_ids)
def test_systemd_accepts_the_unit(analyze, unit, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("celery", "email-relay"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text(encoding="utf-8").replace("/opt/email-relay/bin", str(programs)), encoding="utf-8")
    done = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert unit.name not in done.stderr, done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=_ids)
def test_the_unit_is_little_exposed(analyze, unit):
    command = [analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
