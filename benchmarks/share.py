"""``python -m benchmarks.share``: what queueing costs over Django's own rendering and one bare INSERT, by CPU and by clock.

The bare way renders with Django and writes the same row by one ``cursor.execute``, with nothing checked, kept or told. Both
ways take turns in one process, against PostgreSQL as it is.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import time
from pathlib import Path
from typing import Any, Callable

from benchmarks.contestants import runrelay
from benchmarks.messages import HTML, TEXT
from benchmarks.report import share_of_queueing

RESULT = Path(__file__).resolve().parent / "results" / "share.json"
SQL = (
    "INSERT INTO email_relay_message (data, priority, created_at, updated_at, mime, envelope_from, recipients, message_id, "
    "size, source) VALUES (%s, 2, now(), now(), %s, %s, %s, %s, %s, 'bench')"
)


def measured(send: Callable[[Any], None], messages: list[Any]) -> tuple[float, float]:
    """Milliseconds a message: of CPU, and by the clock."""
    used, began = cpu(), time.perf_counter()
    for message in messages:
        send(message)
    return 1000 * (cpu() - used) / len(messages), 1000 * (time.perf_counter() - began) / len(messages)


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    contestant = runrelay()
    contestant.set_up()
    os.environ.update(contestant.variables({"EMAIL_BACKEND": contestant.backend}))
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.project"

    import django

    django.setup()
    from django.core.mail import EmailMultiAlternatives
    from django.db import connection

    def fresh() -> list[Any]:
        made = []
        for number in range(options.messages):
            one = EmailMultiAlternatives(f"number {number}", TEXT, "from@example.com", [f"to{number}@example.com"])
            one.attach_alternative(HTML, "text/html")
            made.append(one)
        return made

    def bare(message: Any) -> None:
        rendered = message.message()
        content = rendered.as_bytes()
        data = json.dumps({"subject": message.subject, "to": message.to, "format": 2})
        values = [data, content, message.from_email, json.dumps(message.to), rendered["Message-ID"], len(content)]
        with connection.cursor() as cursor:
            cursor.execute(SQL, values)

    ways: dict[str, Callable[[Any], None]] = {"queued": lambda message: message.send(), "bare": bare}
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        contestant.empty()
        for name in sorted(ways, reverse=bool(number % 2)):
            figure = measured(ways[name], fresh())
            if number:  # the first warms up
                rounds[name].append(figure)
    report(rounds, options.messages, django.get_version())
    connection.close()
    contestant.tear_down()


def report(rounds: dict[str, list[tuple[float, float]]], messages: int, version: str) -> None:
    record: dict[str, Any] = {"messages": messages, "rounds": len(rounds["queued"]), "django": version}
    for place, unit in enumerate(("CPU", "clock")):
        queued, bare = (statistics.median(figure[place] for figure in rounds[name]) for name in ("queued", "bare"))
        record[unit] = {"queued": round(queued, 3), "bare": round(bare, 3), "over": round(queued / bare - 1, 3)}
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(share_of_queueing(record))


if __name__ == "__main__":
    main()
