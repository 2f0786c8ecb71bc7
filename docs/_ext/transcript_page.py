"""A session with ``relayqueue``, run anew for each build over a queue made for it."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@lru_cache(maxsize=1)
def markdown() -> str:
    env = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-m", "tests.console.transcript"]
    there = {"cwd": ROOT, "env": {**env, "PYTHONPATH": str(ROOT)}}
    return subprocess.run(command, **there, capture_output=True, text=True, check=True).stdout  # noqa: S603
