"""Short ways to an SMTP transport against a test server, and to what came of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from email_relay.exceptions import TransportError
from email_relay.relay.transport.base import Delivery, Parcel
from email_relay.relay.transport.config import SmtpConfig
from email_relay.relay.transport.smtp import SmtpTransport

CONTENT = b"Subject: hello\r\n\r\nHello.\r\n"


def parcel(key: int = 1, *recipients: str, content: bytes = CONTENT, sender: str = "from@example.com") -> Parcel:
    return Parcel(key, sender, recipients or (f"to{key}@example.com",), content)


def smtp(server: Any, clock: Any = None, **options: Any) -> SmtpTransport:
    """Time-outs are long enough for a busy machine, unless a test is about them."""
    config = SmtpConfig(
        host=server.host, port=server.port, local_hostname="client.example", **{"timeout": 60.0, **options}
    )
    return SmtpTransport(config) if clock is None else SmtpTransport(config, clock)


def still() -> float:
    """A clock that stands: whatever the machine does, a new session counts as fresh."""
    return 1000.0


@dataclass
class Batch:
    """What one ``deliver`` gave: results by key, and how it ended."""

    deliveries: dict[int, Delivery] = field(default_factory=dict)
    ended: TransportError | None = None

    def codes(self, key: int = 1) -> list[int]:
        return [reply.code for reply in self.deliveries[key].replies.values()]

    @property
    def untouched(self) -> list[int]:
        return [one.key for one in self.ended.untouched] if self.ended else []


def deliver(session: Any, *parcels: Parcel) -> Batch:
    batch = Batch()
    try:
        for delivery in session.deliver(iter(parcels)):
            batch.deliveries[delivery.parcel.key] = delivery
    except TransportError as error:
        batch.ended = error
    return batch


def deliver_all(transport: SmtpTransport, *parcels: Parcel) -> dict[int, list[int]]:
    """As the engine does: a new session goes on with what has no result. Codes by key; fails on `ServerUnavailable`."""
    left = {one.key: one for one in parcels}
    codes: dict[int, list[int]] = {}
    for _ in range(50):
        session = transport.connect()
        batch = deliver(session, *left.values())
        session.close()
        for key in batch.deliveries:
            codes[key] = batch.codes(key)
            del left[key]
        if not left:
            return codes
        assert type(batch.ended).__name__ == "SessionEnded", batch.ended
    raise AssertionError(f"no progress with {sorted(left)}")
