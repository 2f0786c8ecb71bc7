"""The service's own command and its metrics, as their sources say."""

from __future__ import annotations

import re
from pathlib import Path

WORKER = Path(__file__).resolve().parents[2] / "relay_worker"
GAUGE = re.compile(r'_gauge\(\s*"(?P<name>\w+)",\s*f?"(?P<words>[^"]+)"(?:,\s*\[(?P<labels>[^\]]*)\])?')
NUMBER = re.compile(r"^(?P<name>[A-Z_]+) = (?P<value>\d+)$", re.MULTILINE)


def usage() -> str:
    from relay_worker.cli import USAGE

    return f"```text\n{USAGE}```\n"


def metric_rows() -> list[tuple[str, str, str]]:
    """Name, labels and meaning of each metric."""
    source = (WORKER / "metrics.py").read_text(encoding="utf-8")
    numbers = {match["name"]: match["value"] for match in NUMBER.finditer(source)}
    return [
        (f"email_relay_{match['name']}", (match["labels"] or "").replace('"', ""), match["words"].format(**numbers))
        for match in GAUGE.finditer(source)
    ]


def metrics() -> str:
    rows = [f"| `{name}` | {labels} | {words} |" for name, labels, words in metric_rows()]
    return "\n".join(["| metric | labels | meaning |", "|---|---|---|", *rows, ""])
