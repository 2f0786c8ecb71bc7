"""The port of every way out: what is handed over, what comes back, who closes.

Whoever opens a session closes it. Trouble before a transaction raises (``ServerUnavailable``, ``SessionEnded``) and gives
the untouched parcels back; trouble inside one is a ``Delivery`` whose replies tell each recipient's fate.

What is made anew for every message is a named tuple: a frozen dataclass takes ten times as long to make.
"""

from __future__ import annotations

from typing import Iterable, Iterator, Mapping, NamedTuple, Protocol, Tuple

NO_REPLY = 0


class Reply(NamedTuple):
    """A server's answer (RFC 5321 section 4.2), or the lack of one.

    ``code`` is the three-digit basic code, ``NO_REPLY`` when the link was lost or timed out; ``enhanced`` the RFC 3463
    status such as "5.1.1" or ""; ``text`` is printable, without the codes, at most 500 characters.
    """

    code: int
    text: str = ""
    enhanced: str = ""

    @property
    def accepted(self) -> bool:
        return 200 <= self.code < 300  # noqa: PLR2004 - classes of RFC 5321

    @property
    def permanent(self) -> bool:
        return 500 <= self.code < 600  # noqa: PLR2004 - classes of RFC 5321

    @property
    def temporary(self) -> bool:
        return not self.accepted and not self.permanent

    def __str__(self) -> str:
        return " ".join(part for part in (str(self.code or ""), self.enhanced, self.text) if part)


class Parcel(NamedTuple):
    """One message on its way out: envelope and bytes.

    ``content`` is an RFC 5322 message with CRLF line ends and no Bcc; ``recipients`` are those still owed.
    """

    key: int
    sender: str
    recipients: Tuple[str, ...]
    content: bytes


class Delivery(NamedTuple):
    """What became of one transaction. ``parcel`` is the very object that was handed over.

    ``replies`` holds one reply for each of the parcel's recipients: the final one for those that were taken, their own for
    those refused. ``final`` is the server's last word; ``seconds`` the duration of the transaction.
    """

    parcel: Parcel
    replies: Mapping[str, Reply]
    final: Reply
    seconds: float = 0.0


class Session(Protocol):
    """One open link to the server, used by one thread at a time."""

    def deliver(self, parcels: Iterable[Parcel]) -> Iterator[Delivery]:
        """Deliver in order, one result each. May take the next parcel before it yields the result of the last.

        Raises ``SessionEnded`` (go on with a new session) or ``ServerUnavailable``; both give back as ``untouched`` what
        was taken and never offered.
        """
        ...

    def close(self) -> None:
        """Say goodbye if the link still listens; never raises for a link that is gone."""
        ...


class Transport(Protocol):
    """Where sessions come from. ``server`` labels it in the database, logs and metrics ("mail.example.com:25")."""

    @property
    def server(self) -> str: ...

    def connect(self) -> Session:
        """Open a session up to the point where MAIL may be sent. Raises ``ServerUnavailable``."""
        ...
