"""A client project as a process: ``python -m tests.e2e.client SOURCE COUNT`` sends mixed mail with the stock backend."""

from __future__ import annotations

import os
import sys

import django
from django.conf import settings

from tests.support.urls import parse_url

PIXEL = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")


def configure(source: str) -> None:
    settings.configure(
        SECRET_KEY="only for tests",
        USE_TZ=True,
        INSTALLED_APPS=["email_relay"],
        DATABASES={"default": {**parse_url(os.environ["DATABASE_URL"]), **SQLITE_OPTIONS}},
        EMAIL_BACKEND="email_relay.backend.RelayDatabaseEmailBackend",
        DJANGO_EMAIL_RELAY={"SOURCE": source},
    )
    django.setup()


SQLITE_OPTIONS = {"OPTIONS": {"timeout": 30}} if os.environ.get("DATABASE_URL", "").startswith("sqlite") else {}


def mixed(number: int):
    """Plain text, html with an attachment, non-English with several recipients, a line that begins with a dot."""
    from django.core.mail import EmailMessage, EmailMultiAlternatives

    kind, to = number % 4, [f"to{number}@example.com"]
    if kind == 0:
        return EmailMessage(f"plain {number}", "text\n" * 20, "from@example.com", to)
    if kind == 1:
        message = EmailMultiAlternatives(f"html {number}", "text", "from@example.com", to)
        message.attach_alternative("<p>html</p>", "text/html")
        message.attach("pixel.png", PIXEL, "image/png")
        return message
    if kind == 2:
        return EmailMessage(
            f"Grüße Nr. {number} 你好", "größer\n", "from@example.com", [*to, "b@example.com"], bcc=["c@example.com"]
        )
    return EmailMessage(f"dots {number}", ".\n..\n.x\n", "from@example.com", to)


def main() -> None:
    source, count = sys.argv[1], int(sys.argv[2])
    configure(source)
    from django.core.mail import get_connection

    connection = get_connection()
    for number in range(count):
        connection.send_messages([mixed(number)])


if __name__ == "__main__":
    main()
