"""The tables of the sizing page, from what the benchmarks kept: no figure on that page is typed by hand."""

from __future__ import annotations

import json
from statistics import median
from typing import Any

from measurements_page import RESULTS

ABSENT = "None has been kept yet."


def rates() -> str:
    """Messages a second of one installation, by server and program."""
    lines = ["| server | program | processes | messages/s | CPU ms/message |", "|---|---|---|---|---|"]
    for server, name in (("takes at once", "drain-2000"), ("answers 20 ms late", "slow-500")):
        figures = _read(name).get("figures", {})
        for program, processes in (("worker", 2), ("runrelay", 1)):
            rounds = figures.get(program, [])
            rate, cpu = _median(rounds, "rate", 0), _median(rounds, "cpu_ms", 2)
            lines.append(f"| {server} | {program} | {processes} | {rate} | {cpu} |")
    return "\n".join(lines)


def hosts() -> str:
    """The table of the scale-out measurement, and what it was made with."""
    record = _read("scale-out")
    if not record:
        return ABSENT
    with_what = (
        f"Each reply {1000 * record['late']:.0f} ms late, {record['sessions']} sessions for each process, "
        f"{record['messages']} messages, {record['rounds']} rounds, {record['machine']}; `{record['command'].strip()}`:"
    )
    return f"{with_what}\n\n{_table('scale-out')}"


def database() -> str:
    record = _read("sizing")
    if not record:
        return ABSENT
    return f"{_table('sizing')}\n\nReckoned from {record['messages']:,} messages; {record['machine']}."


def _median(rounds: list[dict[str, Any]], key: str, digits: int) -> str:
    measured = [figure[key] for figure in rounds if figure.get(key) is not None]
    return f"{median(measured):.{digits}f}" if measured else "-"


def _read(name: str) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _table(name: str) -> str:
    return (RESULTS / f"{name}.md").read_text(encoding="utf-8").strip()
