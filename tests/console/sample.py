"""A queue to look at: some hours of traffic, a greylisted invoice, a newsletter on hold, refusals, mail that waits.

``python -m tests.console.sample`` fills the database of DJANGO_SETTINGS_MODULE; instants count back from now.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import django

GREYLISTED = "451 4.7.1 <ann@example.com>: Greylisted, please try again later"
UNKNOWN = "550 5.1.1 <{}>: Recipient address rejected: User unknown"
SERVER, RELAY = "mail.example.com:25", "relay-1@office"
INVOICE = """<html><body style="font-family: sans-serif">
<h1 style="color: #264b5d">Invoice 2026-118</h1><p>Dear Ann, please find your invoice attached.</p>
<table border="1" cellpadding="6"><tr><th>Item</th><th>Pieces</th><th>Price</th></tr>
<tr><td>Chairs</td><td>4</td><td>€ 480</td></tr><tr><td>Table</td><td>1</td><td>€ 390</td></tr></table>
<p><img src="https://tracker.example.net/pixel.png" alt="an image from elsewhere, which is not loaded"></p></body></html>"""


def main() -> None:
    django.setup()
    fill()


def fill() -> None:
    from django.utils import timezone

    from email_relay.models import Status

    now = timezone.now()
    traffic(now)
    for number, name in enumerate(("joe", "lea", "max")):
        address, at = f"{name}@example.net", now - timedelta(minutes=50 - 9 * number)
        refused = {address: UNKNOWN.format(address)}
        row = queue("billing", address, "Your invoice", status=Status.FAILED, worker=RELAY, refused=refused,
                    log=UNKNOWN.format(address), created_at=at, updated_at=at)  # fmt: skip
        attempt(row, at, 550, "5.1.1", UNKNOWN.format(address), address, "failed")
    greylisted(now)
    for number in range(9):
        queue("newsletter", f"reader{number}@example.org", "News of the week", status=Status.HELD, priority=1,
              created_at=now - timedelta(minutes=30))  # fmt: skip
    for number in range(4):
        queue("shop", f"customer{number}@example.com", "Reset your password", priority=3, created_at=now)
    surroundings(now)


def traffic(now: datetime) -> None:
    """Three hours of mail that went out, busier towards the end."""
    from email_relay.models import Status

    chance = random.Random(11)
    for number in range(110):
        at = now - timedelta(minutes=180 * chance.random() ** 1.4, seconds=5)
        source = chance.choice(("shop", "shop", "billing", "newsletter"))
        subject = {"shop": f"Order {4000 + number} has shipped", "billing": "Your invoice"}.get(
            source, "News of the week"
        )
        queue(source, f"customer{number}@example.com", subject, status=Status.SENT, worker=RELAY, queue_id=f"4WbX{number:02}z",
              log=f"250 2.0.0 Ok: queued as 4WbX{number:02}z", created_at=at - timedelta(seconds=1), sent_at=at)  # fmt: skip


def greylisted(now: datetime) -> None:
    from email_relay.models import Status

    row = queue("billing", "ann@example.com", "Invoice 2026-118", html=INVOICE, status=Status.DEFERRED, retry_count=2,
                pending=["ann@example.com"], log=GREYLISTED, created_at=now - timedelta(minutes=8),
                due_at=now + timedelta(minutes=3))  # fmt: skip
    for minutes in (8, 5):
        attempt(row, now - timedelta(minutes=minutes), 451, "4.7.1", GREYLISTED, "ann@example.com", "deferred")


def queue(source: str, to: str, subject: str, *, html: str = "", **columns: Any) -> Any:
    """One mail of a source, brought to its state by column values."""
    from django.core.mail import EmailMultiAlternatives

    from email_relay.models import Message
    from email_relay.queue import enqueue

    number = Message.objects.count() + 1
    headers = {"Message-ID": f"<1795{number:05}@{source}.example.org>"}
    email = EmailMultiAlternatives(subject, f"{subject}.\n", f"{source}@example.org", [to], headers=headers)
    if html:
        email.attach_alternative(html, "text/html")
        email.attach("invoice-2026-118.pdf", b"%PDF-1.7 sample", "application/pdf")
    enqueue([email])
    row = Message.objects.order_by("-pk")[0]
    Message.objects.filter(pk=row.pk).update(source=source, **columns)
    row.refresh_from_db()
    return row


def attempt(row: Any, at: datetime, code: int, enhanced: str, reply: str, address: str, outcome: str) -> None:
    from email_relay.models import Attempt

    Attempt.objects.create(message=row, number=row.attempts.count() + 1, started_at=at, finished_at=at, worker=RELAY,
                           server=SERVER, outcome=outcome, code=code, enhanced=enhanced, reply=reply,
                           results={address: reply})  # fmt: skip


def surroundings(now: datetime) -> None:
    """The relay, its mail server, and who gets no mail."""
    from email_relay.models import Server, Suppression, Worker

    Server.objects.create(name=SERVER)
    Worker.objects.create(name=RELAY, version="1.0.0", started_at=now - timedelta(days=2), seen_at=now, sessions=2,
                          heartbeat_at=now - timedelta(seconds=70), heartbeat_result="200")  # fmt: skip
    Suppression.objects.create(pattern="@example.invalid", reason="no such company")
    Suppression.objects.create(pattern="former.customer@example.net", reason="asked to be left alone")


if __name__ == "__main__":
    main()
