"""Prometheus' own checker; in CI it has to be there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.support.needs import missing


def promtool(*arguments: str | Path, text: str = "") -> str:
    """What it prints; AssertionError where it finds fault."""
    binary = shutil.which("promtool")
    if binary is None:
        missing("promtool", "it comes with Debian's package prometheus")
    done = subprocess.run(
        [str(binary), *map(str, arguments)], input=text, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
