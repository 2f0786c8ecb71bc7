"""``python -m benchmarks.latency``: from `send_mail()` returned to the message at the server, idle relay, default settings."""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path
from queue import Empty, Queue

from benchmarks.__main__ import RESULTS, stop
from benchmarks.contestants import CONTESTANTS, OURS_BACKEND, Contestant
from benchmarks.servers import POSTGRES
from tests.support.smtpserver import SmtpServer

WARM_UP = 5


def configure(database: str) -> None:
    """This process is the sending project."""
    import django
    from django.conf import settings

    entry = {"ENGINE": "django.db.backends.postgresql", "NAME": database, "HOST": POSTGRES["host"]}
    settings.configure(
        SECRET_KEY="benchmark",
        USE_TZ=True,
        INSTALLED_APPS=["email_relay"],
        EMAIL_BACKEND=OURS_BACKEND,
        DATABASES={"default": {**entry, "PORT": POSTGRES["port"], "USER": POSTGRES["user"]}},
        DJANGO_EMAIL_RELAY={"SOURCE": "benchmark"},
    )
    django.setup()


def measure(contestant: Contestant, messages: int, pause: float, folder: Path) -> list[float]:
    """Milliseconds of each message."""
    from django.core.mail import send_mail

    arrivals: Queue[float] = Queue()
    latencies = []
    with SmtpServer(keep=False, on_received=lambda message: arrivals.put(message.at)) as server:
        process = contestant.start(server.port, folder)
        try:
            for number in range(messages + WARM_UP):
                time.sleep(pause * random.uniform(0.5, 1.5) if number >= WARM_UP else 3)
                send_mail(f"number {number}", "text", "from@example.com", ["to@example.com"])
                returned = time.time()
                try:
                    arrived = arrivals.get(timeout=60)
                except Empty:
                    raise SystemExit(f"{contestant.name}: message {number} did not arrive within a minute") from None
                if number >= WARM_UP:
                    latencies.append(1000 * max(0.0, arrived - returned))
        finally:
            stop(process)
    return latencies


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--messages", type=int, default=60)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two messages, on average")
    options = parser.parse_args()
    names, figures = ("runrelay", "worker"), {}
    lines = ["| relay | p50 ms | p95 ms | p99 ms |", "|---|---|---|---|"]
    for number, name in enumerate(names):
        contestant = CONTESTANTS[name]
        contestant.set_up()
        if number == 0:
            configure(contestant.database)
        else:
            from django.db import connections

            connections["default"].close()
            connections["default"].settings_dict["NAME"] = contestant.database
        with tempfile.TemporaryDirectory() as folder:
            latencies = measure(contestant, options.messages, options.pause, Path(folder))
        figures[name] = latencies
        shown = [statistics.median(latencies), quantile(latencies, 0.95), quantile(latencies, 0.99)]
        lines.append(f"| {name} | " + " | ".join(f"{value:.1f}" for value in shown) + " |")
    print("\n".join(lines))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latency.json").write_text(
        json.dumps({"messages": options.messages, "figures": figures}, indent=1) + "\n"
    )
    (RESULTS / "latency.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
