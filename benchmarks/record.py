"""What a run measured, kept as JSON: the only source of the tables, the charts and the documentation."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

RESULTS = Path(__file__).resolve().parent / "results"
Round = Dict[str, Optional[float]]
Figures = Dict[str, List[Round]]
Record = Dict[str, Any]


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def keep(name: str, record: Record) -> None:
    RESULTS.mkdir(exist_ok=True)
    at = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
    text = json.dumps({**record, "machine": machine(), "at": at}, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n")


def kept(folder: Path = RESULTS) -> dict[str, Any]:
    """By name, in the order of the names."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def values(rounds: list[Round], key: str) -> list[float]:
    """Of the rounds in which it was measured."""
    return [value for figure in rounds if (value := figure.get(key)) is not None]


def median(rounds: list[Round], key: str) -> float | None:
    measured = values(rounds, key)
    return statistics.median(measured) if measured else None


def quantile(measured: list[float], share: float) -> float:
    return sorted(measured)[min(int(share * len(measured)), len(measured) - 1)]
