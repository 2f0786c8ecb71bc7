"""The tables ``make bench`` wrote, as they are."""

from __future__ import annotations

from pathlib import Path

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def markdown() -> str:
    lines: list[str] = []
    for path in sorted(RESULTS.glob("*.md")):
        lines += [f"### {path.stem}", "", *_table(path.read_text(encoding="utf-8")), ""]
    return "\n".join(lines) or "None has been kept yet; `make bench` writes them."


def _table(text: str) -> list[str]:
    """Without headings: the page has its own."""
    return [line for line in text.splitlines() if not line.startswith("#")]
