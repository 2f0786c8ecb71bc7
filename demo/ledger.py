"""What the relay database says, beside what arrived at the server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.parser import BytesHeaderParser
from typing import Iterable

from tests.support import postgres
from tests.support.smtpserver import Received

SENT = 4
QUERY = """
SELECT message_id, data ->> 'subject', source, created_at, sent_at, status, log, mime, recipients
FROM email_relay_message ORDER BY id
"""


@dataclass(frozen=True)
class Entry:
    """One message of the queue."""

    message_id: str
    subject: str
    source: str
    queued_at: datetime
    sent_at: datetime | None
    status: int
    reply: str
    content: bytes
    recipients: list[str]

    @property
    def latency(self) -> float:
        """Seconds from the row to the record of its delivery, both by the database's clock."""
        return (self.sent_at - self.queued_at).total_seconds() if self.sent_at else float("inf")


def entries(url: str) -> list[Entry]:
    connection = postgres.connect(url)
    try:
        cursor = connection.cursor()
        cursor.execute(QUERY)
        rows = cursor.fetchall()
    finally:
        connection.close()
    return [Entry(*row[:7], bytes(row[7]), row[8]) for row in rows]


def differences(queued: Iterable[Entry], received: Iterable[Received]) -> list[str]:
    """What arrived other than it was queued: missing, twice, other bytes, other recipients; empty if nothing."""
    arrived: dict[str, list[Received]] = {}
    for message in received:
        arrived.setdefault(message_id(message.content), []).append(message)
    found = []
    for entry in queued:
        copies = arrived.pop(entry.message_id, [])
        if len(copies) != 1:
            found.append(f"{entry.subject}: arrived {len(copies)} times")
        elif copies[0].content != entry.content:
            found.append(f"{entry.subject}: other bytes")
        elif sorted(copies[0].rcpt_to) != sorted(entry.recipients):
            found.append(f"{entry.subject}: other recipients")
    return found + [f"{unknown}: never queued" for unknown in arrived]


def message_id(content: bytes) -> str:
    return str(BytesHeaderParser(policy=policy.compat32).parsebytes(content)["Message-ID"]).strip()
