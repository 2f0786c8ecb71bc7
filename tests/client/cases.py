"""Messages in every way Django offers to write them; each is a function that makes a new one."""

from __future__ import annotations

import email.message
from email.mime.base import MIMEBase
from email.mime.image import MIMEImage
from email.mime.text import MIMEText
from typing import Any, Callable

import django
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.utils.translation import gettext_lazy

FROM = "Sender <sender@example.com>"
TO = ["reader@example.org"]
MODERN = django.VERSION >= (6, 0)

Case = Callable[[], EmailMessage]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def message(subject: Any = "Subject", body: Any = "Body\n", **fields: Any) -> EmailMultiAlternatives:
    return EmailMultiAlternatives(subject, body, fields.pop("from_email", FROM), fields.pop("to", TO), **fields)


@case
def plain() -> EmailMessage:
    return message()


@case
def dots_and_from_lines() -> EmailMessage:
    return message(body=".\n..\n.dot\nFrom here\n\n.")


@case
def line_ends_of_every_kind() -> EmailMessage:
    return message(body="unix\nwindows\r\nmac\rend")


@case
def no_body() -> EmailMessage:
    return message(body="")


@case
def umlauts() -> EmailMessage:
    return message("Größe für Ärzte", "Schöne Grüße\n", from_email="Jörg Möller <j@exämple.de>", to=["Ä <a@bücher.de>"])


@case
def japanese_and_emoji() -> EmailMessage:
    return message("件名 📮 " * 20, "本文\n" * 10)


@case
def long_lines() -> EmailMessage:
    return message("s" * 300, "word " * 500 + "\n" + "x" * 1500 + "ü" * 1000)


@case
def latin_1() -> EmailMessage:
    made = message("Größe", "Grüße\n")
    made.encoding = "iso-8859-1"
    return made


@case
def html_alone() -> EmailMessage:
    made = message(body="<p>Grüße</p>")
    made.content_subtype = "html"
    return made


@case
def several_alternatives() -> EmailMessage:
    made = message()
    made.attach_alternative("<b>ü</b>", "text/html")
    made.attach_alternative("<html amp4email></html>", "text/x-amp-html")
    made.attach_alternative("BEGIN:VCALENDAR\nEND:VCALENDAR\n", "text/calendar")
    return made


@case
def html_without_text() -> EmailMessage:
    made = message(body="")
    made.attach_alternative("<b>only</b>", "text/html")
    return made


@case
def attachments() -> EmailMessage:
    made = message()
    made.attach("note.txt", "Text ü\n", "text/plain")
    made.attach("abcd.txt", "abcd", "text/plain")
    made.attach("data.bin", bytes(range(256)), "application/octet-stream")
    made.attach("größe.pdf", b"%PDF", "application/pdf")
    made.attach("empty.bin", b"", "application/octet-stream")
    made.attach("guessed.csv", "a;b\n")
    return made


@case
def attachment_and_no_body() -> EmailMessage:
    made = message(body="")
    made.attach("a.bin", b"a", "application/octet-stream")
    return made


@case
def forwarded_message() -> EmailMessage:
    made = message()
    made.attach(None, message("Inner", "Inner body", headers=FIXED), "message/rfc822")
    return made


@case
def inline_image() -> EmailMessage:
    made = message()
    made.attach_alternative('<img src="cid:logo">', "text/html")
    if MODERN:
        image: Any = email.message.MIMEPart()
        image.set_content(b"\x89PNG", maintype="image", subtype="png", cid="<logo>", disposition="inline")
    else:
        image = MIMEImage(b"\x89PNG", _subtype="png")
        image.add_header("Content-ID", "<logo>")
        image.add_header("Content-Disposition", "inline")
    made.attach(image)
    return made


@case
def calendar_part() -> EmailMessage:
    made = message()
    if MODERN:
        part: Any = email.message.MIMEPart()
        part.set_content("BEGIN:VCALENDAR\n", subtype="calendar", params={"method": "REQUEST"})
    else:
        part = MIMEBase("text", "calendar", method="REQUEST")
        part.set_payload("BEGIN:VCALENDAR\n")
    made.attach(part)
    return made


@case
def names_with_quotes_and_commas() -> EmailMessage:
    return message(from_email='"Doe, J. \\"JD\\"" <jd@example.com>', to=['"Roe, R." <r@example.org>', "b@example.org"])


@case
def copies_and_blind_copies() -> EmailMessage:
    return message(to=["a@example.org"], cc=["b@example.org"], bcc=["c@example.org"], reply_to=["Ü <d@example.org>"])


@case
def blind_copies_alone() -> EmailMessage:
    return message(to=[], bcc=["c@example.org", "d@example.org"])


@case
def addressee_in_the_header_differs() -> EmailMessage:
    return message(headers={"To": "List members <list@example.org>", "From": "Other <other@example.com>"})


@case
def own_message_id_and_date() -> EmailMessage:
    return message(headers=FIXED)


@case
def many_headers() -> EmailMessage:
    references = " ".join(f"<{number:040}@example.com>" for number in range(50))
    headers = {"References": references, "X-Ü": "ü", "Sender": "s@example.com", "Return-Path": "<r@example.com>"}
    return message(headers={name: value for name, value in headers.items() if name.isascii()})


@case
def header_of_100_kb() -> EmailMessage:
    return message(headers={"X-Long": "word " * 20_000})


@case
def lazy_texts() -> EmailMessage:
    return message(gettext_lazy("Subject"), gettext_lazy("Body"), to=[gettext_lazy("reader@example.org")])


@case
def local_mailbox() -> EmailMessage:
    return message(from_email="webmaster", to=["root"])


@case
def a_thousand_recipients() -> EmailMessage:
    return message(to=[], bcc=[f"reader{number}@example.org" for number in range(1000)])


@case
def nul_in_subject_and_body() -> EmailMessage:
    return message("a\0b", "c\0d")


class Signed(EmailMessage):
    """What projects do that sign or encrypt: the whole message is theirs."""

    def message(self, *args: Any, **kwargs: Any) -> Any:
        made = super().message(*args, **kwargs)
        made["X-Signature"] = "by hand"
        return made


@case
def overridden_message() -> EmailMessage:
    return Signed("Subject", "Grüße", FROM, TO)


@case
def text_part_as_attachment() -> EmailMessage:
    made = message()
    if MODERN:
        part: Any = email.message.MIMEPart()
        part.set_content("Notiz ü", filename="n.txt", disposition="attachment")
    else:
        part = MIMEText("Notiz ü", _charset="utf-8")
        part.add_header("Content-Disposition", "attachment", filename="n.txt")
    made.attach(part)
    return made


FIXED = {"Message-ID": "<fixed@example.com>", "Date": "Tue, 01 Jan 2030 00:00:00 -0000"}
