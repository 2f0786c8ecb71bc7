"""``python -m benchmarks``: contestants side by side, several rounds, medians and ratios."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Optional

from benchmarks.contestants import CONTESTANTS, Contestant, smtplib_loop
from benchmarks.cpu import tree_seconds
from benchmarks.servers import Sink, Watch, execute, free_port, wait_until_it_listens

RESULTS = Path(__file__).resolve().parent / "results"
LOOP_NAME = "smtplib loop"
Round = dict[str, Optional[float]]
Figures = dict[str, list[Round]]


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def drain_round(contestant: Contestant, count: int, port: int, sink: Sink, folder: Path, timeout: float) -> Round:
    """Queue, start the drainer, and watch the sink."""
    contestant.empty()
    contestant.send(count)
    execute(contestant.database, "CHECKPOINT")
    watch = Watch(sink, count, timeout)
    watch.start()
    began = time.monotonic()
    process = contestant.start(port, folder)
    try:
        rate = watch.rate()
        seconds = (watch.last or time.monotonic()) - began
        time.sleep(0.3)  # the last settle counts too
        # a drainer that has ended took its CPU time with it: not measured is not nothing
        cpu_ms = 1000 * tree_seconds(process.pid) / count if process.poll() is None else None
    finally:
        stop(process)
    return {"rate": rate, "seconds": seconds, "cpu_ms": cpu_ms}


def loop_round(count: int, port: int, sink: Sink, folder: Path) -> Round:
    content = folder / "content.eml"
    content.write_bytes(b"Subject: loop\r\nFrom: from@example.com\r\n\r\n" + (b"x" * 76 + b"\r\n") * 55)
    watch = Watch(sink, count, 120)
    watch.start()
    began = time.monotonic()
    processes = smtplib_loop(port, count, content)
    rate = watch.rate()
    for process in processes:
        process.wait()
    return {"rate": rate, "seconds": watch.last - began, "cpu_ms": None}


def enqueue_round(contestant: Contestant, count: int) -> Round:
    contestant.empty()
    measured = contestant.send(count, "single")
    return {
        "rate": count / measured["seconds"],
        "seconds": measured["seconds"],
        "cpu_ms": 1000 * measured["cpu"] / count,
    }


def run(options: argparse.Namespace, folder: Path) -> Figures:
    chosen = [CONTESTANTS[name] for name in options.only or CONTESTANTS]
    for contestant in chosen:
        contestant.set_up()
    sink = Sink(folder)
    port, proxy = sink.port, None
    if options.work == "slow":
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.delay", str(port), str(sink.port), str(options.late)]
        proxy = subprocess.Popen(command)
        wait_until_it_listens(port, "the delaying proxy")
    figures: Figures = {}
    try:
        for number in range(options.rounds):
            for contestant in chosen:
                if options.work == "enqueue":
                    figure = enqueue_round(contestant, options.messages)
                else:
                    figure = drain_round(contestant, options.messages, port, sink, folder, options.timeout)
                figures.setdefault(contestant.name, []).append(figure)
                print(f"round {number + 1} {contestant.name}: {figure['rate']:.0f}/s", flush=True)
            if options.work == "drain":
                figures.setdefault(LOOP_NAME, []).append(loop_round(options.messages, port, sink, folder))
    finally:
        sink.close()
        if proxy is not None:
            proxy.terminate()
            proxy.wait()
    return figures


def median(rounds: list[Round], key: str) -> float | None:
    """Of the rounds in which it was measured; None if in none."""
    measured = [value for figure in rounds if (value := figure[key]) is not None]
    return statistics.median(measured) if measured else None


def shown(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def table(figures: Figures, reference: str) -> str:
    base = median(figures[reference], "rate") if reference in figures else None
    lines = [
        f"| contestant | messages/s (median, least-most) | seconds | CPU ms/message | x {reference} |",
        "|---|---|---|---|---|",
    ]
    for name, rounds in figures.items():
        rates = [figure["rate"] or 0.0 for figure in rounds]
        rate = statistics.median(rates)
        lines.append(
            f"| {name} | {rate:.0f} ({min(rates):.0f}-{max(rates):.0f}) | {shown(median(rounds, 'seconds'), 2)} "
            f"| {shown(median(rounds, 'cpu_ms'), 2)} | {shown(rate / base if base else None, 1)} |"
        )
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("work", nargs="?", default="drain", choices=["drain", "slow", "enqueue"])
    parser.add_argument("--messages", type=int, default=None, help="default: 2000; slow: 500; enqueue: 1000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--late", type=float, default=0.02, help="seconds each answer is late (slow)")
    parser.add_argument("--timeout", type=float, default=180)
    parser.add_argument("--only", nargs="*", choices=list(CONTESTANTS))
    options = parser.parse_args()
    options.messages = options.messages or {"drain": 2000, "slow": 500, "enqueue": 1000}[options.work]
    return options


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory(prefix="email-relay-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        figures = run(options, folder)
    text = table(figures, "relay-0.6.0")
    print(text)
    RESULTS.mkdir(exist_ok=True)
    record: dict[str, Any] = {
        "work": options.work,
        "messages": options.messages,
        "rounds": options.rounds,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "figures": figures,
    }
    path = RESULTS / f"{options.work}-{options.messages}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    path.with_suffix(".md").write_text(text + "\n")


if __name__ == "__main__":
    main()
