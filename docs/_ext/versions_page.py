"""The table of tested versions, as the matrix run left it in ``docs/matrix.json``."""

from __future__ import annotations

import json
from pathlib import Path

MATRIX = Path(__file__).resolve().parents[1] / "matrix.json"


def markdown() -> str:
    if not MATRIX.exists():
        return "`make matrix` followed by `nox -s table` writes a table here."
    rows = [
        f"| {cell['python']} | {cell['django']} | {cell['database']} | {cell['driver']} | {cell['tests']} |"
        f" {cell['failed']} | {cell['skipped']} |"
        for cell in json.loads(MATRIX.read_text(encoding="utf-8"))
    ]
    head = ["| Python | Django | database | driver | tests | failed | skipped |", "|---|---|---|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])
