"""``relayqueue`` at work, as Markdown: ``python -m tests.console.transcript`` runs every verb over the sample queue.

The documentation's page of commands shows what it prints.
"""

from __future__ import annotations

import builtins
import io
import os
import shlex
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Iterator

import django
from django.conf import settings

SESSION = (
    "status",
    "list --status deferred --status failed",
    "show 114",
    "list --source billing --status deferred --json",
    "requeue --status failed --since 2h",
    "hold 126 127",
    "release --source newsletter",
    "cancel --source newsletter",
    "flush",
    "export --recipient ann@example.com --directory mail",
    "purge --yes",
    "watch --count 1",
    "status --fail-if-older-than 300",
)
WIDTH = 118


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        set_up(Path(folder))
        print("\n".join(markdown()))


def set_up(folder: Path) -> None:
    settings.configure(
        SECRET_KEY="only for the documentation",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "email_relay"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "relay.sqlite3")}},
        DJANGO_EMAIL_RELAY={"MESSAGES_RETENTION_SECONDS": 3600},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        TIME_ZONE="UTC",
    )
    django.setup()
    from django.core.management import call_command

    from tests.console.sample import fill

    call_command("migrate", verbosity=0)
    fill()
    age_what_is_due()


def age_what_is_due() -> None:
    """For the alarm at the end."""
    from datetime import timedelta

    from django.db.models import F

    from email_relay.models import Message

    Message.objects.queued().update(due_at=F("due_at") - timedelta(minutes=8))


def markdown() -> Iterator[str]:
    for command in SESSION:
        yield from ("```console", f"$ python manage.py relayqueue {command}", *typed(command), "```", "")


def typed(command: str) -> list[str]:
    """What a terminal shows, questions answered with yes; and the exit code if it is not 0."""
    from django.core.management import CommandError, call_command

    shown, code = io.StringIO(), 0
    builtins.input = lambda question: (shown.write(f"{question}y\n"), "y")[1]
    with redirect_stdout(shown), redirect_stderr(shown):
        try:
            call_command("relayqueue", *shlex.split(command), stdout=shown)
        except CommandError as error:
            shown.write(f"CommandError: {error}\n")
            code = error.returncode
    lines = [cut(line) for line in shown.getvalue().splitlines()]
    return [*lines, "$ echo $?", str(code)] if code else lines


def cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


if __name__ == "__main__":
    main()
