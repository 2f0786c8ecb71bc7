"""Appointments and a calendar: what a clinic sends."""

from __future__ import annotations

from typing import Any

from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection, mail_admins
from django.core.management.base import BaseCommand

PATIENTS = [
    "佐藤さん <sato@example.jp>",
    "jürgen@example.org",
    "olga@example.org",
    "sam@example.org",
    "noor@example.org",
]
EVENT = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20300101T080000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"


class Command(BaseCommand):
    help = "Sends the mail of a day."

    def handle(self, *_args: Any, **_options: Any) -> None:
        get_connection().send_messages([reminder(patient) for patient in PATIENTS if patient.isascii()])
        reminder("佐藤さん <sato@example.jp>").send()
        urgent().send()
        mail_admins("Daily report", "All is well.\n")


def reminder(patient: str) -> EmailMultiAlternatives:
    message = EmailMultiAlternatives(
        "ご予約のお知らせ", "明日8時です。\n", None, [patient], reply_to=["desk@example.org"]
    )
    message.attach_alternative("<p>明日<b>8時</b>です。</p>", "text/html")
    message.attach_alternative(EVENT, "text/calendar")
    return message


def urgent() -> EmailMessage:
    """One that overtakes the others."""
    message = EmailMessage("Your one-time code", "123456\n", None, ["sam@example.org"], cc=["desk@example.org"])
    message.extra_headers["X-Email-Relay-Priority"] = "high"
    return message
