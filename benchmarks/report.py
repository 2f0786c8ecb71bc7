"""The one table: every target beside this run's figures; as text, as JSON, as charts, and inside README.md."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

from benchmarks import chart, judge
from benchmarks.record import RESULTS, Record, kept, median, quantile, values

README = Path(__file__).resolve().parent / "README.md"
MARKED = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- /table -->)", re.DOTALL)
HEADINGS = {
    "rate": "messages/s",
    "seconds": "seconds",
    "cpu_ms": "CPU ms/message, start included",
    "steady_ms": "CPU ms/message, first to last",
    "peak_mib": "largest process, MiB",
    "idle_ms": "idle poll, ms",
    "claim_ms": "claim of 100, ms",
    "drain_ms": "drain of 1,000, ms",
    "transactions_a_poll": "queries a poll",
    "core_percent": "% of a core",
}


def write() -> bool:
    """Print the table and keep it everywhere; whether a target is missed."""
    records = measured()
    lines = judge.judge(records)
    print(table(lines))
    (RESULTS / "table.json").write_text(json.dumps([_as_dict(line) for line in lines], indent=1) + "\n")
    (RESULTS / "targets.svg").write_text(chart.targets(lines))
    if "drain" in records:
        (RESULTS / "drain.svg").write_text(chart.rates(records["drain"]))
    README.write_text(MARKED.sub(lambda _: readme_part(records), README.read_text(encoding="utf-8")))
    return any(not line.met for line in lines)


def measured(folder: Path = RESULTS) -> dict[str, Record]:
    """The records of the rows; what else is kept in the folder is not theirs."""
    return {name: record for name, record in kept(folder).items() if isinstance(record, dict) and "row" in record}


def readme_part(records: dict[str, Record]) -> str:
    return f"{table(judge.judge(records))}\n\n{conditions(records)}\n"


def _as_dict(line: judge.Line) -> dict[str, Any]:
    return {**line.__dict__, "ratio": line.ratio, "met": line.met, "verdict": line.verdict}


def figure(value: float | None) -> str:
    """Three digits that say something."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(lines: list[judge.Line]) -> str:
    shown = ["| work | ours | reference in the same run | ratio | target | |", "|---|---|---|---|---|---|"]
    for line in lines:
        reference = f"{line.reference_name} {figure(line.reference)}" if line.reference is not None else "-"
        ratio = f"{figure(line.ratio)} ×" if line.ratio is not None else "-"
        ours = f"{line.subject} {figure(line.ours)} {line.unit}".replace(" /s", "/s")
        shown.append(f"| {line.work} | {ours} | {reference} | {ratio} | {line.target} | {line.verdict} |")
    return "\n".join(shown)


def conditions(records: dict[str, Record]) -> str:
    """What a reader must know to judge the figures."""
    shown = ["| row | measured at (UTC) | rounds | load before it | took |", "|---|---|---|---|---|"]
    for name, record in records.items():
        rounds = f"{record['rounds']}, quick" if record["quick"] else record["rounds"]
        shown.append(f"| {name} | {record['at']} | {rounds} | {record['load']:.1f} | {record['seconds']} s |")
    last = next(iter(records.values()), None)
    where = f"\n\nOn {last['machine']}; {last['database']}." if last else ""
    return "\n".join(shown) + where


def details(record: Record) -> str:
    """A record's figures: medians, and in brackets least and most."""
    if "latencies" in record:
        return _latencies(record["latencies"])
    figures = record["figures"]
    keys = list(dict.fromkeys(key for rounds in figures.values() for one in rounds for key in one))
    shown = [f"| | {' | '.join(HEADINGS.get(key, key) for key in keys)} | rounds |", "|---" * (len(keys) + 2) + "|"]
    for name, rounds in figures.items():
        cells = " | ".join(_spread(values(rounds, key)) for key in keys)
        shown.append(f"| {name} | {cells} | {len(rounds)} |")
    return "\n".join(shown)


def _spread(given: list[float]) -> str:
    if not given:
        return "-"
    middle = figure(statistics.median(given))
    return middle if len(given) == 1 else f"{middle} ({figure(min(given))}-{figure(max(given))})"


def _latencies(latencies: dict[str, list[float]]) -> str:
    shown = ["| | p50 ms | p95 ms | p99 ms | messages |", "|---|---|---|---|---|"]
    for name, spent in latencies.items():
        cells = " | ".join(figure(quantile(spent, share)) for share in (0.5, 0.95, 0.99))
        shown.append(f"| {name} | {cells} | {len(spent)} |")
    return "\n".join(shown)


def share_of_profile(record: Record) -> str:
    """The profile's parts and their share, largest first."""
    [rounds] = record["figures"].values()
    whole = median(rounds, "all") or 1.0
    parts = {key: median(rounds, key) or 0.0 for key in rounds[0] if key not in {"all", "rate"}}
    shown = ["| part | CPU ms/message | share |", "|---|---|---|"]
    for name, spent in sorted(parts.items(), key=lambda part: -part[1]):
        shown.append(f"| {name} | {spent:.3f} | {100 * spent / whole:.0f} % |")
    return "\n".join([*shown, f"| all | {whole:.3f} | |"])


def share_of_queueing(record: Record) -> str:
    """What ``benchmarks.share`` found."""
    shown = ["| ms a message | `send()` | Django's rendering and one bare INSERT | our share |", "|---|---|---|---|"]
    for unit in ("CPU", "clock"):
        queued, bare, over = (record[unit][key] for key in ("queued", "bare", "over"))
        shown.append(f"| {unit} | {queued:.2f} | {bare:.2f} | {100 * over:+.0f} % |")
    return "\n".join(shown)
