"""A scripted fake: the port of `base` without a network, for tests of what stands above it."""

from __future__ import annotations

import threading
from typing import Callable, Iterable, Iterator, List, Optional, Union

from email_relay.exceptions import ServerUnavailable, SessionEnded, TransportError
from email_relay.relay.transport.base import Delivery, Parcel, Reply

TAKEN = Reply(250, "Ok: queued as MEMORY", "2.0.0")

Answer = Union[None, Reply, TransportError]
Script = Callable[[Parcel, str], Answer]


class MemoryTransport:
    """``script(parcel, recipient)`` gives that recipient's reply, None for 250, or an error to raise before the parcel is
    begun. ``down`` makes every connect fail with `ServerUnavailable`; ``session_limit`` ends a session after so many
    messages; while ``gate`` is given and not set, deliveries wait for it. ``delivered`` keeps every `Delivery`.
    """

    def __init__(
        self,
        script: Optional[Script] = None,
        *,
        server: str = "memory:25",
        down: str = "",
        session_limit: Optional[int] = None,
        gate: Optional[threading.Event] = None,
    ) -> None:
        self.script = script
        self.server = server
        self.down = down
        self.session_limit = session_limit
        self.gate = gate
        self.delivered: List[Delivery] = []
        self.connects = 0
        self.closed = 0
        self.waiting = threading.Event()
        """Set once a delivery has come to the gate."""

    def connect(self) -> MemorySession:
        self.connects += 1
        if self.down:
            raise ServerUnavailable(self.down)
        return MemorySession(self)

    def accepted(self) -> List[str]:
        """Every recipient that was taken, in order, as often as it was."""
        return [to for one in list(self.delivered) for to, reply in one.replies.items() if reply.accepted]


class MemorySession:
    """One session of a `MemoryTransport`."""

    def __init__(self, transport: MemoryTransport) -> None:
        self._transport = transport
        self._messages = 0

    def deliver(self, parcels: Iterable[Parcel]) -> Iterator[Delivery]:
        for parcel in parcels:
            self._check(parcel)
            self._wait()
            replies = {address: self._reply(parcel, address) for address in parcel.recipients}
            delivery = Delivery(parcel, replies, next(reversed(list(replies.values())), TAKEN))
            self._messages += 1
            self._transport.delivered.append(delivery)
            yield delivery

    def _check(self, parcel: Parcel) -> None:
        limit = self._transport.session_limit
        if limit is not None and self._messages >= limit:
            raise SessionEnded("too many messages in this session", (parcel,), 421)

    def _wait(self) -> None:
        if self._transport.gate is not None:
            self._transport.waiting.set()
            self._transport.gate.wait(60)

    def _reply(self, parcel: Parcel, address: str) -> Reply:
        answer = self._transport.script(parcel, address) if self._transport.script else None
        if isinstance(answer, TransportError):
            raise type(answer)(answer.reason, (parcel,), answer.code)
        return answer or TAKEN

    def close(self) -> None:
        self._transport.closed += 1
