"""Order confirmations, invoices and a newsletter: what a shop sends."""

from __future__ import annotations

import base64
from email.mime.image import MIMEImage
from typing import Any

from django.core.mail import EmailMessage, EmailMultiAlternatives, send_mail
from django.core.management.base import BaseCommand

LOGO = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CUSTOMERS = ["ada@example.com", "grace@example.com", "Zoë <zoe@example.com>"]


class Command(BaseCommand):
    help = "Sends the mail of a day."

    def handle(self, *_args: Any, **_options: Any) -> None:
        for number, customer in enumerate(CUSTOMERS, 1):
            send_mail(f"Your order no. {number}", "Thank you!\n\n.\nThe shop\n", None, [customer])
            invoice(number, customer).send()
        newsletter().send()
        send_mail("Πέντε νέα προϊόντα · 新商品", "Καλημέρα!\n", None, ["nikos@example.com"])


def invoice(number: int, customer: str) -> EmailMessage:
    message = EmailMessage(f"Rechnung Nr. {number} über 12,50 €", "Anbei die Rechnung.\n", None, [customer])
    message.attach(f"Rechnung-{number}.pdf", b"%PDF-1.4\n" + bytes(range(256)) * 40, "application/pdf")
    message.attach("agb.txt", "Es gilt, was gilt.\n", "text/plain")
    return message


def newsletter() -> EmailMultiAlternatives:
    """HTML with the logo inside, to many in Bcc."""
    readers = [f"reader{number}@example.net" for number in range(50)]
    message = EmailMultiAlternatives("News of the week", "Nothing new.\n", None, ["news@example.com"], bcc=readers)
    message.attach_alternative('<p><img src="cid:logo" alt=""> Nothing <b>new</b>.</p>', "text/html")
    logo = MIMEImage(LOGO, "png")
    logo["Content-ID"] = "<logo>"
    message.attach(logo)
    return message
