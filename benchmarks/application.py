"""The sending side of each contestant: ``python application.py COUNT bulk|single`` prints seconds and CPU as JSON."""

from __future__ import annotations

import json
import resource
import sys
import time

import django

django.setup()

from django.core.mail import EmailMultiAlternatives, get_connection, send_mail  # noqa: E402

TEXT = "Line of a newsletter that says very little.\n" * 30
HTML = "<p>Line of a newsletter that says <b>very</b> little.</p>\n" * 45


def bulk(count: int) -> None:
    with get_connection() as connection:
        messages = []
        for number in range(count):
            message = EmailMultiAlternatives(f"number {number}", TEXT, "from@example.com", [f"to{number}@example.com"])
            message.attach_alternative(HTML, "text/html")
            messages.append(message)
        for start in range(0, count, 500):
            connection.send_messages(messages[start : start + 500])


def single(count: int) -> None:
    for number in range(count):
        send_mail(f"number {number}", TEXT, "from@example.com", [f"to{number}@example.com"], html_message=HTML)


if __name__ == "__main__":
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    (bulk if sys.argv[2] == "bulk" else single)(int(sys.argv[1]))
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    print(json.dumps({"seconds": time.perf_counter() - began, "cpu": cpu}))
