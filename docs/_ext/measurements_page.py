"""What ``make bench`` kept, as tables: no figure of the page is written by hand."""

from __future__ import annotations

from pathlib import Path

from benchmarks import judge, report

NOTHING = "None has been kept yet; `make bench` writes them."
CHARTS = "../../benchmarks/results"
TITLES = {
    "drain": "Drain of 2,000",
    "drain-long": "A longer drain",
    "slow": "A slow server",
    "latency": "Latency",
    "enqueue": "Enqueue",
    "attachments": "Large attachments",
    "beside": "Beside many other rows",
    "fairness": "Fairness",
    "scaling": "More processes",
    "idle": "Idle",
}


def markdown() -> str:
    records = report.measured()
    if not records:
        return NOTHING
    parts = [
        report.table(judge.judge(records)),
        f"![How far each target was reached]({CHARTS}/targets.svg)",
        report.conditions(records),
    ]
    for name, title in TITLES.items():
        if name in records:
            parts += [f"### {title}", _size(records[name]), report.details(records[name])]
        if name == "drain" and name in records:
            parts.append(f"![Messages a second]({CHARTS}/drain.svg)")
        if name == "enqueue":
            parts.append(report.share_of_queueing(report.kept()["share"]))
    return "\n\n".join(parts)


def _size(record: report.Record) -> str:
    return f"{record['messages']:,} messages." if "messages" in record else ""


def profile() -> str:
    record = report.measured().get("profile")
    return report.share_of_profile(record) if record else NOTHING


def console() -> str:
    """What ``benchmarks/console.py`` kept."""
    return (Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "console.md").read_text(encoding="utf-8")
