"""What faults did to the mail, as ``python -m tests.chaos --json docs/chaos.json`` left it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHAOS = Path(__file__).resolve().parents[1] / "chaos.json"
COLUMNS = {
    "fault": "fault injected",
    "rounds": "rounds",
    "sent": "sent",
    "lost": "lost",
    "doubled": "doubled",
    "mean": "mean of a round",
    "most": "most",
    "allowed": "P2 allows in all",
    "seconds": "seconds, mean",
    "longest": "longest",
}


def markdown() -> str:
    if not CHAOS.exists():
        return "`python -m tests.chaos --json docs/chaos.json` writes a table here."
    figures = json.loads(CHAOS.read_text(encoding="utf-8"))
    return "\n".join([*_table(figures.get("faults", {}).values()), "", *_soak(figures.get("soak"))])


def _table(rows: Any) -> list[str]:
    head = ["| " + " | ".join(COLUMNS.values()) + " |", "|---" * len(COLUMNS) + "|"]
    return head + ["| " + " | ".join(_cell(row[column]) for column in COLUMNS) + " |" for row in rows]


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _soak(figures: Any) -> list[str]:
    if not figures:
        return []
    memory, descriptors = figures["rss_mib"], figures["descriptors"]
    return [
        f"A soak of {figures['minutes']} minutes at {figures['rate']} messages a second with {figures['faults']} faults: "
        f"{figures['sent']} sent, {figures['lost']} lost, {figures['doubled']} doubled, all of these in the hand of a relay "
        f"that was killed, stopped or cut off. The relay that was never killed had {memory[0]} MiB after the first minute and "
        f"{memory[1]} MiB at the end, {descriptors[0]} and {descriptors[1]} file descriptors. The table was never larger than "
        f"{figures['table_mib']} MiB, its indexes {figures['indexes_mib']} MiB.",
        "",
        *_doubles(figures.get("doubles", {})),
    ]


def _doubles(harms: Any) -> list[str]:
    """Which faults of the soak doubled what; P2 allows what was in hand and not recorded as the fault struck."""
    if not harms:
        return []
    head = ["| fault of the soak | times | doubled | most at once | P2 allows |", "|---" * 5 + "|"]
    rows = [
        f"| {harm.replace('_', ' ')} | {row['times']} | {row['doubled']} | {row['most']} | {row['allowed']} |"
        for harm, row in harms.items()
    ]
    return [*head, *rows, ""]
