"""One SMTP transaction without its I/O: what is to be said, what each answer means, what becomes of every recipient.

The commands are handed out in groups: with PIPELINING (RFC 2920) the whole envelope is one group, in a plain dialogue each
command is. Slots tell which answer belongs to which command.
"""

from __future__ import annotations

from typing import Optional

from email_relay.relay.replies import parse, reply_code
from email_relay.relay.transport import addresses
from email_relay.relay.transport.base import NO_REPLY, Delivery, Parcel, Reply
from email_relay.relay.transport.opening import Features

GROUP = 50
"""Most commands of one pipelined write: their answers must fit into the socket's buffers, or both sides wait for ever."""
RSET, MAIL, DATA = -3, -2, -1
CLOSING, OUT_OF_SEQUENCE, AUTHENTICATION_REQUIRED, START_INPUT = 421, 503, 530, 354


class OutOfStep(Exception):
    """The answers do not belong to the commands: too few, too many, or of a server that lost its state."""


class Closing(Exception):
    """The server answered 421 and is about to hang up (RFC 5321 section 3.8)."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class NotAllowedIn(Exception):
    """MAIL was answered with 530: the account is the trouble, not the message."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Transaction:
    """One parcel's way. ``pipelined`` chooses the groups; a recipient refused before a word was said is in ``refused``."""

    __slots__ = (
        "_at",
        "_commands",
        "_paths",
        "accepted",
        "answered",
        "chained",
        "concluded",
        "data_open",
        "final",
        "mail_answered",
        "mail_refused",
        "parcel",
        "pipelined",
        "refused",
    )

    def __init__(self, parcel: Parcel, features: Features, *, pipelined: bool) -> None:
        self.parcel = parcel
        self.pipelined = pipelined
        self.refused: dict[str, Reply] = {}
        self.accepted: list[str] = []
        self.final: Optional[Reply] = None
        self.chained = False
        self.answered = self.mail_answered = self.mail_refused = self.data_open = self.concluded = False
        self._at = 0
        self._paths: list[str] = []
        self._commands: list[tuple[bytes, int]] = []
        self._plan(features)

    def _plan(self, features: Features) -> None:
        try:
            sender = addresses.path(self.parcel.sender)
        except addresses.UnusableAddress:
            return self._refuse_all(addresses.BAD_SENDER)
        if not sender.isascii() and not features.smtputf8:
            return self._refuse_all(addresses.SENDER_NEEDS_SMTPUTF8)
        # without the extension 8-bit mail goes out undeclared, as Django sends it: servers take it, and P4 wants these bytes
        eightbit = features.eightbit and not self.parcel.content.isascii()
        paths = self._recipient_paths(features)
        if paths:
            utf8 = not sender.isascii() or any(not path.isascii() for path in paths)
            self._commands.append((self._mail(sender, features, eightbit=eightbit, utf8=utf8), MAIL))
            self._commands.extend((b"RCPT TO:<" + path + b">\r\n", slot) for slot, path in enumerate(paths))
            self._commands.append((b"DATA\r\n", DATA))
        return None

    def _refuse_all(self, reply: Reply) -> None:
        self.refused = dict.fromkeys(self.parcel.recipients, reply)

    def _recipient_paths(self, features: Features) -> list[bytes]:
        paths = []
        for address in dict.fromkeys(self.parcel.recipients):
            try:
                path = addresses.path(address)
            except addresses.UnusableAddress:
                path = b""
            if not path:
                self.refused[address] = addresses.BAD_RECIPIENT
            elif not path.isascii() and not features.smtputf8:
                self.refused[address] = addresses.RECIPIENT_NEEDS_SMTPUTF8
            else:
                self._paths.append(address)
                paths.append(path)
        return paths

    def _mail(self, sender: bytes, features: Features, *, eightbit: bool, utf8: bool) -> bytes:
        command = b"MAIL FROM:<" + sender + b">"
        if features.size:
            command += b" SIZE=%d" % len(self.parcel.content)
        if eightbit:
            command += b" BODY=8BITMIME"
        if utf8:
            command += b" SMTPUTF8"
        return command + b"\r\n"

    @property
    def speechless(self) -> bool:
        """Nothing is to be said to the server: all was refused beforehand."""
        return not self._commands

    @property
    def taken(self) -> bool:
        """The server waits for the content, for at least one recipient."""
        return self.data_open and bool(self.accepted)

    def reset_first(self) -> None:
        self._commands.insert(0, (b"RSET\r\n", RSET))

    @property
    def more(self) -> bool:
        """Whether something is left to be said before the content."""
        if self._at >= len(self._commands) or self.mail_refused:
            return False
        return self._commands[self._at][1] != DATA or bool(self.accepted)

    def next_group(self) -> tuple[bytes, list[int]]:
        """What to say next, and the slots of the answers."""
        start, commands = self._at, self._commands
        self._at = start + (GROUP if self.pipelined else 1)
        group = commands[start : self._at]
        return b"".join([command for command, _ in group]), [slot for _, slot in group]

    def hear(self, slot: int, raw: bytes) -> None:
        """Take one answer. Raises `Closing`, `OutOfStep`, `NotAllowedIn`, ``MalformedReply``."""
        code = reply_code(raw)
        if code == CLOSING:
            raise Closing(parse(raw))
        self.answered = True
        if slot >= 0:
            self._hear_recipient(slot, code, raw)
        elif slot == MAIL:
            self._hear_mail(code, raw)
        elif slot == DATA:
            self._hear_data(code, raw)
        elif not 200 <= code < 300:  # noqa: PLR2004 - class 2 of RFC 5321
            raise OutOfStep

    def _hear_mail(self, code: int, raw: bytes) -> None:
        if 300 <= code < 400:  # noqa: PLR2004
            raise OutOfStep
        if code == AUTHENTICATION_REQUIRED:
            raise NotAllowedIn(parse(raw))
        self.mail_answered = True
        if code >= 400:  # noqa: PLR2004
            self.mail_refused = self.concluded = True
            self.final = reply = parse(raw)
            self.refused.update(dict.fromkeys(self._paths, reply))

    def _hear_recipient(self, slot: int, code: int, raw: bytes) -> None:
        if 300 <= code < 400 or (self.mail_refused and code < 400):  # noqa: PLR2004
            raise OutOfStep
        if self.mail_refused:
            return
        if code < 300:  # noqa: PLR2004
            self.accepted.append(self._paths[slot])
            return
        if code == OUT_OF_SEQUENCE and self.pipelined:
            raise OutOfStep
        self.final = self.refused[self._paths[slot]] = parse(raw)

    def _hear_data(self, code: int, raw: bytes) -> None:
        if code < 300:  # noqa: PLR2004
            raise OutOfStep
        if code < 400:  # noqa: PLR2004
            self.data_open = True
        elif self.accepted:
            if code == OUT_OF_SEQUENCE and self.pipelined:
                raise OutOfStep
            self.concluded = True
            self.finish(parse(raw))

    def finish(self, reply: Reply) -> None:
        """The last word for all who were not refused before."""
        self.final = reply

    def lose(self, reason: str) -> None:
        """The link is gone; whoever is undecided has no answer."""
        self.finish(Reply(NO_REPLY, reason))

    def delivery(self, seconds: float) -> Delivery:
        final = self.final or next(iter(self.refused.values()), Reply(NO_REPLY, "no answer"))
        refused = self.refused
        replies = {address: refused.get(address, final) for address in self.parcel.recipients}
        return Delivery(self.parcel, replies, final, seconds)
