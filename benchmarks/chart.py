"""Charts as SVG, drawn by hand: bars, names, and a line where the target is."""

from __future__ import annotations

import math
import statistics
from html import escape

from benchmarks.judge import Line
from benchmarks.record import Record, values

WIDTH, NAMES, ROW = 960, 540, 22
MET, MISSED, PEER = "#2e7d32", "#c62828", "#78909c"
LEAST, MOST = 0.1, 100.0


def targets(lines: list[Line]) -> str:
    """How far each target was reached, on a logarithmic scale; the upright line is the target."""
    span = math.log10(MOST / LEAST)

    def place(reached: float) -> float:
        return NAMES + (WIDTH - NAMES - 60) * math.log10(min(max(reached, LEAST), MOST) / LEAST) / span

    parts = []
    for number, line in enumerate(lines):
        top, at, target = 30 + number * ROW, place(line.reached), place(1)
        name = f"{line.work}: {line.subject}" + (f" / {line.reference_name}" if line.reference is not None else "")
        parts += [
            _text(NAMES - 8, top + 14, name, "end"),
            _bar(min(at, target), top, abs(at - target), MET if line.met else MISSED),
            _text(max(at, target) + 5, top + 14, f"{line.reached:.2g} ×", "start"),
        ]
    bottom = 30 + len(lines) * ROW
    parts += [
        f'<line x1="{place(1):.0f}" y1="24" x2="{place(1):.0f}" y2="{bottom}" stroke="#37474f"/>',
        _text(place(1), 16, "target", "middle"),
    ]
    return _svg(bottom + 10, parts, "How far each target was reached")


def rates(record: Record) -> str:
    """Messages a second of each contender, the medians."""
    medians = {name: statistics.median(values(rounds, "rate")) for name, rounds in record["figures"].items()}
    most = max(medians.values())
    parts = []
    for number, (name, rate) in enumerate(sorted(medians.items(), key=lambda pair: -pair[1])):
        top, width = 10 + number * ROW, (WIDTH - 290) * rate / most
        colour = MET if name in {"worker", "runrelay"} else PEER
        parts += [_text(192, top + 14, name, "end"), _bar(200, top, width, colour)]
        parts.append(_text(205 + width, top + 14, f"{rate:,.0f}/s", "start"))
    return _svg(20 + len(medians) * ROW, parts, f"Drain of {record['messages']:,} messages")


def _bar(left: float, top: float, width: float, colour: str) -> str:
    return f'<rect x="{left:.0f}" y="{top + 3}" width="{max(width, 1):.0f}" height="{ROW - 7}" fill="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.0f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: int, parts: list[str], title: str) -> str:
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="#37474f" role="img"><title>{escape(title)}</title>'
    )
    background = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join([opening, background, *parts, "</svg>"]) + "\n"
