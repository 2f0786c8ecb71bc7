"""The service's own command and its metrics, as their sources say."""

from __future__ import annotations

import re
from pathlib import Path

WORKER = Path(__file__).resolve().parents[2] / "relay_worker"
FAMILY = re.compile(
    r'_(?P<kind>gauge|counter|histogram)\(\s*"(?P<name>\w+)",\s*f?"(?P<words>[^"]+)"(?:,\s*\[(?P<labels>[^\]]*)\])?'
)
NUMBER = re.compile(r"^(?P<name>[A-Z_]+) = (?P<value>\d+)$", re.MULTILINE)


def usage() -> str:
    from relay_worker.cli import USAGE

    return f"```text\n{USAGE}```\n"


def metric_rows() -> list[tuple[str, str, str, str]]:
    """Name, kind, labels and meaning of each metric."""
    source = "".join((WORKER / name).read_text(encoding="utf-8") for name in ("metrics.py", "counters.py"))
    health = (WORKER.parent / "email_relay" / "relay" / "health.py").read_text(encoding="utf-8")
    numbers = {match["name"]: match["value"] for match in NUMBER.finditer(health)}
    return [
        (
            f"email_relay_{match['name']}" + ("_total" if match["kind"] == "counter" else ""),
            match["kind"],
            (match["labels"] or "").replace('"', ""),
            match["words"].format(**numbers),
        )
        for match in FAMILY.finditer(source)
    ]


def metrics() -> str:
    rows = [f"| `{name}` | {kind} | {labels} | {words} |" for name, kind, labels, words in metric_rows()]
    return "\n".join(["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows, ""])
