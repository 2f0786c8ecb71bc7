"""The sending side of each contestant: ``python application.py COUNT bulk|single|attached|paced``.

Prints seconds and CPU as JSON. With *paced* it sends one for each line it reads, and says when that returned.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

import django

django.setup()
if os.environ.get("BENCH_CELERY_PROJECT"):
    import celery_project  # noqa: F401 - makes its broker the default

from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection, send_mail  # noqa: E402
from messages import ATTACHMENT_BYTES, HTML, TEXT, WATCHED  # noqa: E402


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


def attached(count: int) -> None:
    with get_connection() as connection:
        for number in range(count):
            message = EmailMessage(f"number {number}", "text", "from@example.com", [f"to{number}@example.com"])
            message.attach("random.bin", os.urandom(ATTACHMENT_BYTES), "application/octet-stream")
            connection.send_messages([message])


def paced(_count: int) -> None:
    print("ready", flush=True)
    for _ in sys.stdin:
        send_mail("now", "text", "from@example.com", [WATCHED])
        print(time.time(), flush=True)


if __name__ == "__main__":
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    {"bulk": bulk, "single": single, "attached": attached, "paced": paced}[sys.argv[2]](int(sys.argv[1]))
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    print(json.dumps({"seconds": time.perf_counter() - began, "cpu": cpu}))
