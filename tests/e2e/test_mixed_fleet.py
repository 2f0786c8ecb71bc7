"""One relay database and one relay; clients of every age write to it at the same time."""

from __future__ import annotations

import email
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import PSYCOPG2, environment_with
from tests.support.postgres import connect
from tests.support.processes import Process
from tests.support.projects import Project
from tests.support.smtpserver import Received, SmtpServer
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

BACKEND = "email_relay.backend.RelayDatabaseEmailBackend"
ROUTER = "email_relay.db.EmailDatabaseRouter"
ROUNDS = 10
SHAPES = ("text", "html", "files")
BYTES = bytes(range(256))
NOTE = "abcd"  # valid base64 by chance

CLIENT = f"""
import pathlib, sys, time
from django.core.mail import EmailMultiAlternatives, send_mail
name, go = sys.argv[1], pathlib.Path(sys.argv[2])
print("ready", flush=True)
while not go.exists():
    time.sleep(0.01)
for n in range({ROUNDS}):
    send_mail(f"Grüße von {{name}}: text {{n}}", "Über 5 €\\n.\\n..\\nEnde\\n", f"Käse <{{name}}@example.com>",
        [f"text{{n}}@{{name}}.example.org"])
    message = EmailMultiAlternatives(subject=f"Grüße von {{name}}: html {{n}}", body="Plain",
        from_email=f"{{name}}@example.com", to=[f"html{{n}}@{{name}}.example.org", '"Zwei, Nr." <two@example.org>'],
        cc=["copy@example.org"], bcc=["blind@example.org"], reply_to=["answers@example.com"],
        headers={{"X-Number": str(n)}})
    message.attach_alternative("<p>Träume</p>", "text/html")
    message.send()
    message = EmailMultiAlternatives(subject=f"Grüße von {{name}}: files {{n}}", body="See below",
        from_email=f"{{name}}@example.com", to=[f"files{{n}}@{{name}}.example.org"])
    message.attach("all.bin", {BYTES!r}, "application/octet-stream")
    message.attach("notes.txt", {NOTE!r}, "text/plain")
    message.send()
"""


@dataclass(frozen=True)
class Member:
    """A client of the fleet; without a release it is ours."""

    name: str
    python: str
    django: str
    release: str | None = None

    def project(self, directory: Path, url: str) -> Project:
        requirements = [self.django, PSYCOPG2]
        if self.release:
            requirements.append("django-email-relay==" + self.release)
        settings: dict[str, Any] = {"EMAIL_BACKEND": BACKEND}
        if "6.1" in self.django:
            settings = {"MAILERS": {"default": {"BACKEND": BACKEND}}}
        own = {"default": str(directory / (self.name + ".sqlite3")), "email_relay_db": url}
        return Project(
            directory,
            own,
            name=self.name,
            python=environment_with(self.python, *requirements),
            ours=self.release is None,
            DATABASE_ROUTERS=[ROUTER],
            **settings,
        )


FLEET = [
    Member("oldest", "3.8", "Django>=3.2,<4"),
    Member("middle", "3.11", "Django>=5.2,<5.3"),
    Member("newest", "3.13", "Django>=6.1,<6.2"),
    Member("four", "3.8", "Django>=3.2,<4", "0.4.3"),
    Member("six", "3.9", "Django>=4.2,<5", "0.6.0"),
]


def gather(directory: Path, url: str) -> tuple[dict[str, Project], list[str]]:
    """The clients whose interpreter there is, and the reasons why others stay away."""
    present, absent = {}, []
    for member in FLEET:
        try:
            present[member.name] = member.project(directory, url)
        except pytest.skip.Exception as reason:
            absent.append(f"{member.name}: {reason}")
    return present, absent


def test_p9_a_mixed_fleet_is_served_by_one_relay(
    tmp_path: Path, postgresql_database: str, smtp_server: SmtpServer
) -> None:
    """P9: all of it is delivered once and faithfully, whoever wrote it; ours byte for byte as it was queued."""
    clients, absent = gather(tmp_path, postgresql_database)
    relay = Project(
        tmp_path,
        {"default": postgresql_database},
        name="relay",
        EMAIL_HOST=smtp_server.host,
        EMAIL_PORT=smtp_server.port,
        DJANGO_EMAIL_RELAY={"EMPTY_QUEUE_SLEEP": 0.5},
    )
    relay.manage("migrate", "--verbosity", "0")

    with ExitStack() as stack:
        running = stack.enter_context(relay.start("-m", "django", "runrelay"))
        running.wait_ready("relay started")
        send_all_at_once(stack, clients, tmp_path / "go")
        wanted = len(clients) * ROUNDS * len(SHAPES)
        wait_until(lambda: sent(postgresql_database) >= wanted, 120, lambda: f"{wanted}: {sent(postgresql_database)}")
        assert running.terminate() == 0

    assert Counter(subject(message) for message in smtp_server.received) == expected(clients)
    for message in smtp_server.received:
        check(message)
    assert unaltered(postgresql_database, smtp_server.received) == ROUNDS * len(SHAPES) * sum(
        p.ours for p in clients.values()
    )
    if absent:
        pytest.skip(f"passed without {'; '.join(absent)}")


def send_all_at_once(stack: ExitStack, clients: dict[str, Project], go: Path) -> None:
    setup = "import django; django.setup()\n"
    started: list[Process] = [
        stack.enter_context(project.start("-c", setup + CLIENT, name, go)) for name, project in clients.items()
    ]
    for process in started:
        process.wait_ready("ready", 120)
    go.touch()
    assert [process.wait(120) for process in started] == [0] * len(started), [p.tail() for p in started]


def expected(clients: dict[str, Project]) -> Counter:
    return Counter(f"Grüße von {name}: {shape} {n}" for name in clients for shape in SHAPES for n in range(ROUNDS))


def query(url: str, sql: str) -> list[tuple]:
    connection = connect(url)
    try:
        cursor = connection.cursor()
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()]
    finally:
        connection.close()


def sent(url: str) -> int:
    return query(url, "SELECT count(*) FROM email_relay_message WHERE status = 4")[0][0]


def unaltered(url: str, received: list[Received]) -> int:
    """How many messages of ours have at the server the bytes and envelope that were queued."""
    rows = query(
        url, "SELECT message_id, mime, envelope_from, recipients FROM email_relay_message WHERE mime IS NOT NULL"
    )
    arrived = {parsed(message)["Message-ID"]: message for message in received}
    pairs = [(row, arrived[row[0]]) for row in rows]
    return sum(
        (bytes(mime), sender, tuple(recipients)) == (message.content, message.mail_from, message.rcpt_to)
        for (_, mime, sender, recipients), message in pairs
    )


def parsed(message: Received) -> EmailMessage:
    return email.message_from_bytes(message.content, policy=default)


def subject(message: Received) -> str:
    return str(parsed(message)["Subject"])


def check(message: Received) -> None:
    """It says what its client's code says."""
    _, _, rest = subject(message).partition("Grüße von ")
    name, _, what = rest.partition(": ")
    shape, n = what.split(" ")
    assert message.mail_from == f"{name}@example.com"
    assert message.rcpt_to[0] == f"{shape}{n}@{name}.example.org"
    {"text": check_text, "html": check_html, "files": check_files}[shape](message, parsed(message), n)


def check_text(message: Received, mail: EmailMessage, n: str) -> None:
    assert mail["From"].addresses[0].display_name == "Käse"
    assert mail.get_content().splitlines() == ["Über 5 €", ".", "..", "Ende"]


def check_html(message: Received, mail: EmailMessage, n: str) -> None:
    assert message.rcpt_to[1:] == ("two@example.org", "copy@example.org", "blind@example.org")
    assert mail["To"].addresses[1].display_name == "Zwei, Nr."
    assert (mail["Cc"], mail["Bcc"], mail["Reply-To"]) == ("copy@example.org", None, "answers@example.com")
    assert mail["X-Number"] == n
    assert mail.get_body(("plain",)).get_content().strip() == "Plain"
    assert mail.get_body(("html",)).get_content().strip() == "<p>Träume</p>"


def check_files(message: Received, mail: EmailMessage, n: str) -> None:
    attachments = {part.get_filename(): part for part in mail.iter_attachments()}
    assert attachments["all.bin"].get_content() == BYTES
    assert attachments["notes.txt"].get_content_type() == "text/plain"
    assert attachments["notes.txt"].get_content().strip() == NOTE
