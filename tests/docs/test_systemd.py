"""The systemd units are valid, and as closed as they claim to be."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.docs.pages import ROOT

UNITS = sorted((ROOT / "docker" / "systemd").glob("*.service"))
ANALYZE = shutil.which("systemd-analyze")


def _ids(unit):
    return unit.name


@pytest.mark.parametrize("unit", UNITS, ids=_ids)
def test_a_stopped_unit_leaves_the_drain_time_to_finish(unit):
    text = unit.read_text(encoding="utf-8")
    assert "KillMode=mixed" in text
    drains = "worker" in unit.stem or "runrelay" in unit.stem
    assert int(re.search(r"TimeoutStopSec=(\d+)", text)[1]) >= (120 if drains else 20)


@pytest.mark.skipif(ANALYZE is None, reason="needs systemd-analyze")
@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS, ids=_ids)
def test_systemd_accepts_the_unit(unit, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("celery", "email-relay"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text(encoding="utf-8").replace("/opt/email-relay/bin", str(programs)), encoding="utf-8")
    done = subprocess.run([ANALYZE, "verify", str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert unit.name not in done.stderr, done.stderr


@pytest.mark.skipif(ANALYZE is None, reason="needs systemd-analyze")
@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS, ids=_ids)
def test_the_unit_is_little_exposed(unit):
    """systemd's own score: 0 is closed, 10 is open."""
    command = [ANALYZE, "security", "--offline=true", "--threshold=20", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
