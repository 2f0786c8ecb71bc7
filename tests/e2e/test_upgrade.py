"""The upgrade from django-email-relay 0.x, with those releases themselves: database, client, forgotten relay."""

from __future__ import annotations

import email
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Iterator

import pytest

from tests.support import mariadb, postgres
from tests.support.environments import PSYCOPG2, PYMYSQL, current, environment_with
from tests.support.projects import Project
from tests.support.smtpserver import Received, SmtpServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

BACKEND = "email_relay.backend.RelayDatabaseEmailBackend"
SMTP_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
ROUTER = "email_relay.db.EmailDatabaseRouter"
TEXT = "abcd"  # valid base64 by chance: 0.6.0 itself sends three other bytes
BYTES = bytes(range(256))

ENQUEUE = f"""
from django.core.mail import EmailMultiAlternatives, send_mail
send_mail("Grüße", "Only text\\n", "Shop <shop@example.com>", ["text@example.org"])
message = EmailMultiAlternatives("With HTML", "Plain", "shop@example.com", ["html@example.org"],
    cc=["copy@example.org"], bcc=["blind@example.org"], reply_to=["answers@example.com"], headers={{"X-Order": "17"}})
message.attach_alternative("<p>Träume</p>", "text/html")
message.send()
message = EmailMultiAlternatives("Attached", "See below", "shop@example.com", ["files@example.org"])
message.attach("all.bin", {BYTES!r}, "application/octet-stream")
message.attach("notes.txt", {TEXT!r}, "text/plain")
message.send()
"""
SEND_ONE = """
import sys
from django.core.mail import send_mail
send_mail(sys.argv[1], "Hello", "shop@example.com", ["you@example.org"])
"""


# Python, what its relay says at a row of ours, requirements
RELEASES = {
    "0.6.0": (current(), "IntegrityError", "django-email-relay==0.6.0", "Django>=4.2,<5", PSYCOPG2, PYMYSQL),
    "0.4.3": (
        "3.8",
        "unexpected keyword argument 'format'",
        "django-email-relay==0.4.3",
        "Django>=3.2,<4",
        PSYCOPG2,
        PYMYSQL,
    ),
}


class Site:
    """One relay database, and the projects of both releases around it."""

    complaint = ""
    """What the old relay says at a row of ours."""

    def __init__(self, directory: Path, url: str, release: str, server: SmtpServer) -> None:
        way_out = {"EMAIL_HOST": server.host, "EMAIL_PORT": server.port}
        queue = {"DATABASE_ROUTERS": [ROUTER], "EMAIL_BACKEND": BACKEND}
        own = {"default": str(directory / "own.sqlite3"), "email_relay_db": url}
        self.url = url
        self.old_client = Project(directory, own, name="old_client", python=release, ours=False, **queue)
        self.old_relay = Project(directory, {"default": url}, name="old_relay", python=release, ours=False, **way_out)
        self.client = Project(directory, own, name="client", **queue)
        self.relay = Project(directory, {"default": url}, name="relay", **way_out)

    def rows(self, columns: str) -> list:
        with self.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM email_relay_message ORDER BY id")
            return [tuple(row) for row in cursor.fetchall()]

    def update(self, row: int, assignments: str) -> None:
        with self.cursor() as cursor:
            cursor.execute(f"UPDATE email_relay_message SET {assignments} WHERE id = {row}")

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        connection = (mariadb if self.url.startswith("mysql:") else postgres).connect(self.url)
        try:
            yield connection.cursor()
        finally:
            connection.close()


@pytest.fixture(params=["postgresql 0.6.0", "mariadb 0.6.0", "postgresql 0.4.3"])
def site(request: pytest.FixtureRequest, tmp_path: Path, smtp_server: SmtpServer) -> Site:
    """A site on 0.x."""
    kind, release = request.param.split(" ")
    python, complaint, *requirements = RELEASES[release]
    interpreter = environment_with(python, *requirements)
    site = Site(tmp_path, request.getfixturevalue(kind + "_database"), interpreter, smtp_server)
    site.complaint = complaint
    site.old_relay.manage("migrate", "--verbosity", "0")
    return site


def test_p9_mail_queued_by_0_x_is_delivered_after_the_upgrade(site: Site, smtp_server: SmtpServer) -> None:
    """P9: `migrate` upgrades the database in place; text and byte attachments come out as they were given."""
    site.old_client.script(ENQUEUE)

    site.relay.manage("migrate", "--verbosity", "0")
    site.relay.manage("runrelay", "--once")

    received = {message.rcpt_to[0]: message for message in smtp_server.wait_for(3)}
    assert set(received) == {"text@example.org", "html@example.org", "files@example.org"}
    check_text(received["text@example.org"])
    check_html(received["html@example.org"])
    check_files(received["files@example.org"])
    assert [status for (status,) in site.rows("status")] == [4, 4, 4]


def test_p9_what_0_x_had_settled_stays_settled(site: Site, smtp_server: SmtpServer) -> None:
    """P9: sent, deferred and failed rows keep their state through `migrate`; only the deferred one goes out."""
    for subject in ("sent", "deferred", "failed"):
        site.old_client.script(SEND_ONE, subject)
    site.update(1, "status = 4, sent_at = NULL")
    site.update(2, "status = 2, retry_count = 2")
    site.update(3, "status = 3, log = 'why'")

    site.relay.manage("migrate", "--verbosity", "0")
    assert site.rows("status, sent_at = updated_at, log") == [(4, True, ""), (2, None, ""), (3, None, "why")]
    site.relay.manage("runrelay", "--once")

    assert [parsed(message)["Subject"] for message in smtp_server.received] == ["deferred"]
    assert site.rows("status, retry_count") == [(4, 0), (4, 2), (3, 0)]


def test_p9_a_client_of_0_x_goes_on_after_the_upgrade(site: Site, smtp_server: SmtpServer) -> None:
    """P9: its INSERT names nine columns; the database fills in the rest."""
    site.relay.manage("migrate", "--verbosity", "0")
    site.old_client.script(ENQUEUE)
    site.client.script(SEND_ONE, "from the new client")

    site.relay.manage("runrelay", "--once")

    received = {message.rcpt_to[0]: message for message in smtp_server.wait_for(4)}
    check_text(received["text@example.org"])
    check_html(received["html@example.org"])
    check_files(received["files@example.org"])
    assert parsed(received["you@example.org"])["Subject"] == "from the new client"


def test_p9_a_forgotten_relay_of_0_x_stops_and_sends_nothing(site: Site, smtp_server: SmtpServer) -> None:
    """P9: it meets a row of ours, ends with an error, and leaves the row to the relay that can read it."""
    site.relay.manage("migrate", "--verbosity", "0")
    site.client.script(SEND_ONE, "new")

    with site.old_relay.start("-m", "django", "runrelay") as forgotten:
        assert forgotten.wait(120) != 0
        assert site.complaint in forgotten.output

    assert smtp_server.count == 0
    assert site.rows("status, retry_count, log") == [(1, 0, "")]
    site.relay.manage("runrelay", "--once")
    [message] = smtp_server.wait_for(1)
    assert parsed(message)["Subject"] == "new"


def parsed(message: Received) -> EmailMessage:
    return email.message_from_bytes(message.content, policy=default)


def check_text(message: Received) -> None:
    mail = parsed(message)
    assert message.mail_from == "shop@example.com"
    assert mail["From"] == "Shop <shop@example.com>"
    assert mail["Subject"] == "Grüße"
    assert mail.get_content().splitlines() == ["Only text"]


def check_html(message: Received) -> None:
    mail = parsed(message)
    assert message.rcpt_to == ("html@example.org", "copy@example.org", "blind@example.org")
    assert (mail["To"], mail["Cc"], mail["Bcc"]) == ("html@example.org", "copy@example.org", None)
    assert (mail["Reply-To"], mail["X-Order"]) == ("answers@example.com", "17")
    assert mail.get_body(("plain",)).get_content().strip() == "Plain"
    assert mail.get_body(("html",)).get_content().strip() == "<p>Träume</p>"


def check_files(message: Received) -> None:
    attachments = {part.get_filename(): part for part in parsed(message).iter_attachments()}
    assert attachments["all.bin"].get_content() == BYTES
    assert attachments["notes.txt"].get_content_type() == "text/plain"
    assert attachments["notes.txt"].get_content().strip() == TEXT
