"""What a hostile client writes into the table by SQL of its own never reaches the SMTP server as a command.

The rows are raw: neither Django nor this package has looked at them. The server is a real socket, and every command it hears
is compared.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable

import pytest

from tests.security.conftest import Site
from tests.support import postgres
from tests.support.projects import Project
from tests.support.smtpserver import SmtpServer

EVIL = "evil@example.net"
SMUGGLED = f"MAIL FROM:<{EVIL}>\r\nRCPT TO:<{EVIL}>\r\nDATA\r\nSubject: smuggled\r\n\r\n.\r\n"

ADDRESSES = [
    f"a@example.com\r\nRCPT TO:<{EVIL}>",
    f"a@example.com>\r\nRCPT TO:<{EVIL}",
    f"a@example.com\nRCPT TO:<{EVIL}>",
    f"a@example.com\rRCPT TO:<{EVIL}>",
    f"a@example.com> <{EVIL}",
    "a@example.com> SIZE=1 BODY=8BITMIME",
    "a@example.com NOTIFY=SUCCESS",
    f"a@example.com\u2028RCPT TO:<{EVIL}>",
    f"a@example.com\u0085RCPT TO:<{EVIL}>",
    f"<{EVIL}>",
    "a@example.com\t",
    "a@exam\u00a0ple.com",
    "ａ＞@example.com".replace("ａ", "a") + "\r\nRSET",
    "x" * 5000 + "@example.com",
]
BODIES = [
    b"\r\n.\r\n",
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r\n.\r",
    b"\r\r\n.\r\n",
    b"\r\n\x00.\r\n",
]
INSERT = """
INSERT INTO email_relay_message (data, priority, created_at, updated_at, source, mime, envelope_from, recipients, size)
VALUES ('{"format": 2}', 1, now(), now(), 'shop', %s, %s, %s::jsonb, 1)
"""
LEGACY = "INSERT INTO email_relay_message (data, priority, created_at, updated_at, source) VALUES (%s, 1, now(), now(), 'shop')"
COMMAND = re.compile(
    r"(?i:ehlo) \S+|MAIL FROM:<from@example\.com>( \S+=\S+)*|RCPT TO:<good\d*@example\.com>|DATA|RSET|NOOP|QUIT"
)


@pytest.fixture
def insert(site: Site) -> Callable[..., None]:
    """Run a statement as the role of the hostile project: it may insert, and nothing else."""

    def insert(sql: str, *parameters: Any) -> None:
        connection = postgres.connect(site.url_of(site.shop))
        try:
            connection.cursor().execute(sql, parameters)
        finally:
            connection.close()

    return insert


@pytest.fixture
def drain(site: Site, tmp_path: Path, smtp_server: SmtpServer) -> Callable[[], None]:
    """One drain by a relay under its own role; then every command the server heard is one of ours."""
    settings = {"EMAIL_HOST": smtp_server.host, "EMAIL_PORT": smtp_server.port}
    relay = Project(tmp_path, {"default": site.url_of(site.relay)}, name="relay", **settings)

    def drain() -> None:
        relay.manage("runrelay", "--once")
        strange = [line for _, line in smtp_server.commands if not COMMAND.fullmatch(line)]
        assert strange == []

    return drain


def outcomes(site: Site) -> list[tuple]:
    return site.execute("SELECT status, log FROM email_relay_message ORDER BY id")


def test_addresses_never_become_commands_and_their_neighbours_go_out(
    site: Site, insert: Any, drain: Any, smtp_server: SmtpServer
) -> None:
    for address in ADDRESSES:
        insert(INSERT, b"Subject: x\r\n\r\nx\r\n", address, json.dumps(["good@example.com"]))
        insert(INSERT, b"Subject: x\r\n\r\nx\r\n", "from@example.com", json.dumps([address, "good1@example.com"]))
    drain()
    assert {one.rcpt_to for one in smtp_server.received} == {("good1@example.com",)}
    assert len(smtp_server.received) == len(ADDRESSES)
    assert {status for status, _ in outcomes(site)} == {3}, "failed alone, each with its reason"
    assert all(log for _, log in outcomes(site))


@pytest.mark.parametrize(
    "recipients", ['"good@example.com"', "5", "null", "{}", '[["a@example.com"]]', "[7, null]", "[]"]
)
def test_recipients_that_are_no_list_of_texts_fail_alone(
    site: Site, insert: Any, drain: Any, smtp_server: SmtpServer, recipients: str
) -> None:
    insert(INSERT, b"Subject: x\r\n\r\nx\r\n", "from@example.com", recipients)
    drain()
    assert smtp_server.received == []
    assert [status for status, _ in outcomes(site)] == [3]


def test_content_never_ends_early(site: Site, insert: Any, drain: Any, smtp_server: SmtpServer) -> None:
    """Dots behind every kind of line end: what follows stays content, as the server unstuffs it."""
    for body in BODIES:
        content = b"Subject: x\r\n\r\nbefore" + body + SMUGGLED.encode()
        insert(INSERT, content, "from@example.com", json.dumps(["good@example.com"]))
    drain()
    assert len(smtp_server.received) == len(BODIES)
    for message in smtp_server.received:
        assert b"smuggled" in message.content, "it came as part of the message"
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n", message.content), "no bare line end for a lenient server"


@pytest.mark.parametrize("field", ["subject", "from_email", "to", "cc", "reply_to", "extra_headers"])
def test_a_payload_of_0x_injects_neither_headers_nor_commands(
    site: Site, insert: Any, drain: Any, smtp_server: SmtpServer, field: str
) -> None:
    evil = f"x\r\nBcc: {EVIL}\r\n\r\n.\r\nMAIL FROM:<{EVIL}>"
    payload: dict[str, Any] = {
        "subject": "s",
        "body": "b",
        "from_email": "from@example.com",
        "to": ["good@example.com"],
    }
    payload[field] = {"X-Evil": evil} if field == "extra_headers" else [evil] if field != "subject" else evil
    payload["from_email"] = evil if field == "from_email" else payload["from_email"]
    insert(LEGACY, json.dumps(payload))
    drain()
    for message in smtp_server.received:
        head = message.content.partition(b"\r\n\r\n")[0]
        assert not re.search(rb"^(Bcc|MAIL)", head, re.MULTILINE)
        assert message.rcpt_to == ("good@example.com",)
