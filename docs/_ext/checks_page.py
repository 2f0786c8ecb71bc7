"""The reference of the system checks: ids and texts as they stand in ``email_relay/checks.py``."""

from __future__ import annotations

import re
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "email_relay" / "checks.py"


def ids() -> list[str]:
    return sorted(set(re.findall(r"\b[EW]\d{3}\b", SOURCE.read_text(encoding="utf-8"))))


def markdown() -> str:
    return ""
