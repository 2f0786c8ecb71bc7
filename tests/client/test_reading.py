"""Back from bytes: what people look at, Django's own class, and the payloads of 0.x."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timezone
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.locmem import EmailBackend as Locmem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from email_relay import legacy
from email_relay.envelope import prepare
from email_relay.exceptions import UnreadablePayload
from email_relay.mime import parts, to_email
from email_relay.models import Message
from email_relay.payload import content_of
from tests.client.cases import CASES, MODERN, message

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")

WHEN = datetime(2024, 2, 29, 12, 0, tzinfo=timezone.utc)


def read_back(email: Any) -> EmailMultiAlternatives:
    prepared = prepare(email)
    assert prepared is not None
    return to_email(prepared.content, prepared.sender, prepared.recipients)


@pytest.mark.parametrize("name", CASES)
def test_p4_a_message_read_back_gives_the_same_bytes_to_a_django_backend(name: str) -> None:
    prepared = prepare(CASES[name]())
    assert prepared is not None
    email = to_email(prepared.content, prepared.sender, prepared.recipients)
    rendered = email.message()
    assert rendered.as_bytes(linesep="\r\n") == prepared.content
    assert Locmem().send_messages([email]) == 1


@pytest.mark.parametrize("name", CASES)
def test_a_message_read_back_has_exactly_the_recipients_asked_for(name: str) -> None:
    prepared = prepare(CASES[name]())
    assert prepared is not None
    for owed in (prepared.recipients, prepared.recipients[-1:]):
        again = prepare(_plain_copy(to_email(prepared.content, prepared.sender, owed)))
        assert again is not None
        assert sorted(again.recipients) == sorted(owed)
        assert again.sender == prepared.sender


def _plain_copy(email: EmailMultiAlternatives) -> EmailMultiAlternatives:
    """The same fields in a message that Django renders."""
    return EmailMultiAlternatives(
        email.subject,
        email.body,
        email.from_email,
        email.to,
        bcc=email.bcc,
        cc=email.cc,
        reply_to=email.reply_to,
        headers=dict(email.extra_headers),
        attachments=list(email.attachments),
        alternatives=list(email.alternatives),
    )


def test_fields_come_back() -> None:
    written = message("Größe 📮", "Grüße\n", cc=["C <c@example.org>"], bcc=["b@example.org"], reply_to=["Ü <r@x.org>"])
    written.attach_alternative("<b>ü</b>", "text/html")
    written.attach("größe.txt", "Text ü\n", "text/plain")
    written.attach("b.bin", bytes(range(256)), "application/octet-stream")
    written.extra_headers["X-Own"] = "value"
    email = read_back(written)
    assert (email.subject, email.body) == ("Größe 📮", "Grüße\n")
    assert (email.from_email, email.to, email.cc) == (written.from_email, written.to, written.cc)
    assert (email.bcc, email.reply_to) == (written.bcc, written.reply_to)
    assert [tuple(alternative) for alternative in email.alternatives] == [("<b>ü</b>", "text/html")] or MODERN
    assert [(a[0], a[2]) for a in email.attachments] == [
        ("größe.txt", "text/plain"),
        ("b.bin", "application/octet-stream"),
    ]
    assert email.attachments[0][1] == "Text ü\n"
    assert email.attachments[1][1] == bytes(range(256))
    assert email.extra_headers["X-Own"] == "value"


def test_what_people_look_at() -> None:
    written = CASES["inline_image"]()
    written.attach("größe.pdf", b"%PDF", "application/pdf")
    prepared = prepare(written)
    assert prepared is not None
    seen = parts(prepared.content)
    assert seen.text.strip() == "Body"
    assert seen.html.strip() == '<img src="cid:logo">'
    assert [(a.content_id, a.inline, a.filename, a.content) for a in seen.attachments] == [
        ("logo", True, "", b"\x89PNG"),
        ("", False, "größe.pdf", b"%PDF"),
    ]
    assert ("Subject", "Subject") in seen.headers


QUIET = settings(
    max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=80)
NAMES = st.text("abcäü -_.", min_size=1, max_size=12).map(lambda name: f"f{name}x.bin".replace(" ", ""))


@QUIET
@given(subject=TEXT, body=TEXT, html=TEXT, name=NAMES, raw=st.binary(max_size=300))
def test_any_message_comes_back(subject: str, body: str, html: str, name: str, raw: bytes) -> None:
    written = message(subject.strip(), body)
    written.attach_alternative(html, "text/html")
    written.attach(name, raw, "application/octet-stream")
    email = read_back(written)
    assert "".join(email.subject.split()) == "".join(subject.split())
    bodies = [email.body, *(alternative[0] for alternative in email.alternatives)]
    assert [text.rstrip("\n") for text in bodies if text.strip()] == [text for text in (body, html) if text.strip()]
    assert (email.attachments[0][0], email.attachments[0][1]) == (name, raw)


@QUIET
@given(st.binary(max_size=400))
def test_p5_whatever_the_bytes_hold_they_can_be_looked_at(content: bytes) -> None:
    parts(content)
    email = to_email(content, "a@example.com", ["b@example.com"])
    assert email.recipients() == ["b@example.com"]


# rows of 0.x


def payload(**changes: Any) -> dict[str, Any]:
    return {
        "subject": "Größe",
        "body": "Grüße",
        "from_email": "Möller <m@example.com>",
        "to": ["Ä <a@bücher.de>"],
        "cc": [],
        "bcc": ["blind@example.org"],
        "reply_to": [],
        "extra_headers": {"X-Own": "1"},
        "alternatives": [["<b>ü</b>", "text/html"]],
        "attachments": [],
        "_email_relay_version": "0.6.0",
        **changes,
    }


def row(data: Any, **columns: Any) -> Message:
    return Message(id=7, data=data, created_at=WHEN, **columns)


def test_p9_a_0x_row_becomes_the_mail_its_client_meant() -> None:
    sender, recipients, content = content_of(row(payload()))
    assert sender == "m@example.com"
    assert recipients == ("a@xn--bcher-kva.de", "blind@example.org")
    assert b"blind" not in content
    assert b"Date: Thu, 29 Feb 2024 12:00:00 +0000\r\n" in content
    email = row(payload()).email
    assert (email.subject, email.body.strip(), email.extra_headers["X-Own"]) == ("Größe", "Grüße", "1")
    assert [(a[0].strip(), a[1]) for a in email.alternatives] == [("<b>ü</b>", "text/html")]


def test_p4_a_0x_row_gives_the_same_bytes_at_every_attempt() -> None:
    data = payload(attachments=[{"filename": "a.bin", "content": "AAEC", "mimetype": "application/octet-stream"}])
    assert content_of(row(data)) == content_of(row(json.loads(json.dumps(data))))
    other = Message(id=8, data=data, created_at=WHEN)
    assert content_of(row(data)).content != content_of(other).content


def test_a_0x_rows_own_message_id_and_date_are_kept() -> None:
    headers = {"message-id": "<own@example.com>", "DATE": "Tue, 01 Jan 2030 00:00:00 -0000"}
    content = content_of(row(payload(extra_headers=headers))).content
    assert content.lower().count(b"message-id:") == content.lower().count(b"\r\ndate:") == 1
    assert b"<own@example.com>" in content


@pytest.mark.parametrize(
    ("kept", "mimetype", "meant"),
    [
        ("abcd", "text/plain", "abcd"),
        ("a;b\n1;2\n", "text/csv", "a;b\n1;2\n"),
        ("", "text/plain", ""),
        (
            base64.b64encode(b"BEGIN:VCALENDAR\nEND:VCALENDAR\n").decode(),
            "text/calendar",
            "BEGIN:VCALENDAR\nEND:VCALENDAR\n",
        ),
        (base64.b64encode(bytes(range(256))).decode(), "application/octet-stream", bytes(range(256))),
        (base64.b64encode(b"%PDF-1.7").decode(), "application/pdf", b"%PDF-1.7"),
        ('{"a": 1}', "application/json", '{"a": 1}'),
        (base64.b64encode(b'{"a": 1}').decode(), "application/json", '{"a": 1}'),
        ("1234", "application/json", "1234"),
        ("not base64!", "application/octet-stream", b"not base64!"),
    ],
)
def test_p9_0x_attachments_survive(kept: str, mimetype: str, meant: Any) -> None:
    assert legacy.attachment_content(kept, mimetype) == meant


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        payload(to=[], bcc=[]),
        payload(to="a@example.org"),
        payload(to=[1]),
        payload(to=["a@b@c"]),
        payload(subject={"a": 1}),
        payload(subject="a\r\nb"),
        payload(from_email="a\nb"),
        payload(extra_headers=["x"]),
        payload(alternatives=["x"]),
        payload(attachments=["x"]),
        payload(attachments=[{"filename": "a", "content": "b", "mimetype": "nonsense"}]),
        payload(body=[1]),
        payload(format=2),
    ],
)
def test_p5_nonsense_in_a_row_is_unreadable_and_says_why(data: Any) -> None:
    with pytest.raises(UnreadablePayload) as caught:
        content_of(row(data))
    assert str(caught.value)


def test_p5_nonsense_in_the_recipients_is_unreadable() -> None:
    with pytest.raises(UnreadablePayload, match="recipients"):
        content_of(row({}, mime=b"x", recipients={"a": 1}))
