"""Messages in every way Django offers to write them; each is a function that makes a new one."""

from __future__ import annotations

import email.message
from email.charset import QP, Charset
from email.mime.base import MIMEBase
from email.mime.image import MIMEImage
from email.mime.text import MIMEText
from typing import Any, Callable

import django
from django.core.mail import (
    EmailMessage,
    EmailMultiAlternatives,
    mail_admins,
    mail_managers,
    send_mail,
    send_mass_mail,
)
from django.test import override_settings
from django.utils.translation import gettext_lazy

FROM = "Sender <sender@example.com>"
TO = ["reader@example.org"]
MODERN = django.VERSION >= (6, 0)

Case = Callable[[], EmailMessage]
CASES: dict[str, Case] = {}
ODD: dict[str, Case] = {}
"""What some Django sends and another refuses: the queue does as the Django it runs on."""


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def odd(function: Case) -> Case:
    ODD[function.__name__] = function
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
def iso_2022_jp() -> EmailMessage:
    made = message("件名", "本文\n")
    made.encoding = "iso-2022-jp"
    return made


@odd
def quoted_printable() -> EmailMessage:
    charset = Charset("utf-8")
    charset.body_encoding = QP
    made = message("Größe", "Grüße =\n")
    made.encoding = charset
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
def text_attachments_in_other_charsets() -> EmailMessage:
    made = message()
    made.attach("latin.txt", "Grüße\n".encode("iso-8859-1"), "text/plain")
    made.attach("utf-16.txt", "Grüße\n".encode("utf-16"), "text/plain")
    made.attach("windows.csv", "größe;1\r\n".encode("cp1252"), "text/csv")
    return made


@case
def attachments_given_to_the_constructor() -> EmailMessage:
    part = MIMEBase("application", "x-own")
    part.set_payload("own")
    return message(attachments=[("a.txt", "a\n", "text/plain"), ("b.bin", b"b", None), part])


@case
def attached_file() -> EmailMessage:
    made = message()
    made.attach_file(__file__)
    return made


@case
def attachment_of_5_mb() -> EmailMessage:
    made = message()
    made.attach("big.bin", bytes(range(256)) * 20_000, "application/octet-stream")
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
    return message(
        headers={
            "References": references,
            "Sender": "s@example.com",
            "Return-Path": "<r@example.com>",
            "List-Unsubscribe": "<https://example.com/" + "u" * 120 + ">",
            "X-Text": "Größe ü",
        }
    )


@case
def header_of_100_kb() -> EmailMessage:
    return message(headers={"X-Long": "word " * 20_000})


@case
def header_of_100_kb_in_one_word() -> EmailMessage:
    return message(headers={"X-Long": "x" * 100_000})


@case
def lazy_texts() -> EmailMessage:
    return message(
        gettext_lazy("Subject"),
        gettext_lazy("Body"),
        to=[gettext_lazy("reader@example.org")],
        headers={"X-Lazy": gettext_lazy("Header")},
    )


@odd
def local_part_that_is_not_ascii() -> EmailMessage:
    return message(to=["jörg@example.org"])


@case
def group_of_addressees() -> EmailMessage:
    return message(headers={"To": "Friends: a@example.org, b@example.org;"})


@odd
def group_as_addressee() -> EmailMessage:
    return message(to=["Friends: a@example.org, b@example.org;"])


@odd
def two_addresses_in_one() -> EmailMessage:
    return message(to=["a@example.org, b@example.org"])


@odd
def display_name_with_a_line_break() -> EmailMessage:
    return message(to=["A\r\nBcc: c@example.org <a@example.org>"])


@odd
def display_name_that_is_very_long() -> EmailMessage:
    return message(to=["Ä" * 300 + " <a@example.org>"])


@odd
def domain_that_is_no_domain() -> EmailMessage:
    return message(to=["a@" + "ü" * 80 + ".example"])


@odd
def undisclosed_recipients() -> EmailMessage:
    return message(to=["undisclosed-recipients:;"], bcc=["a@example.org"])


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


class Encrypted(EmailMessage):
    """A message that is bytes already, as S/MIME tools make it."""

    def message(self, *args: Any, **kwargs: Any) -> Any:
        made = super().message(*args, **kwargs)
        content = made.as_bytes() if MODERN else made.as_bytes(linesep="\r\n")
        made.__class__ = type("Sealed", (type(made),), {"as_bytes": lambda *_, **__: content + b"sealed\r\n"})
        return made


@case
def overridden_as_bytes() -> EmailMessage:
    return Encrypted("Subject", "Text", FROM, TO)


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


class Captured:
    """In place of a connection: keeps what Django's functions make."""

    def send_messages(self, messages: list[EmailMessage]) -> int:
        self.messages = messages
        return len(messages)

    @classmethod
    def by(cls, function: Callable[..., Any], *arguments: Any, **options: Any) -> EmailMessage:
        connection = cls()
        function(*arguments, connection=connection, **options)
        return connection.messages[0]


@case
def by_send_mail() -> EmailMessage:
    return Captured.by(send_mail, "Subject", "Text", None, TO, html_message="<p>ü</p>")


@case
def by_send_mass_mail() -> EmailMessage:
    return Captured.by(send_mass_mail, [("Subject", "Text", FROM, TO)])


@case
def by_mail_admins() -> EmailMessage:
    with override_settings(ADMINS=PEOPLE, EMAIL_SUBJECT_PREFIX="[Shop] "):
        return Captured.by(mail_admins, "Subject", "Text", html_message="<p>ü</p>")


@case
def by_mail_managers() -> EmailMessage:
    with override_settings(MANAGERS=PEOPLE):
        return Captured.by(mail_managers, "Subject", "Text")


PEOPLE: list[Any] = ["a@example.org", "b@example.org"] if MODERN else [("A", "a@example.org"), ("B", "b@example.org")]
FIXED = {"Message-ID": "<fixed@example.com>", "Date": "Tue, 01 Jan 2030 00:00:00 -0000"}
