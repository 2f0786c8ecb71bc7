"""One SMTP session: envelopes, contents and answers over an open wire.

With PIPELINING a message costs one round trip: its content goes out with the next one's envelope behind the final dot. What
was only sent ahead and then lost its link is untouched; what was begun and lost is a temporary failure (P1, P2).
"""

from __future__ import annotations

import logging
from typing import Callable, Iterable, Iterator, List, Optional

from email_relay.exceptions import ServerUnavailable, SessionEnded, TransportError
from email_relay.relay.replies import MalformedReply, parse, reply_code
from email_relay.relay.transport.base import Delivery, Parcel
from email_relay.relay.transport.config import SmtpConfig
from email_relay.relay.transport.content import framed
from email_relay.relay.transport.opening import COMPLETED, Features
from email_relay.relay.transport.pipelining import Pipelining
from email_relay.relay.transport.transaction import CLOSING, Closing, NotAllowedIn, OutOfStep, Transaction
from email_relay.relay.transport.wire import LinkLost, Wire

logger = logging.getLogger("email_relay.relay")

IDLE_SECONDS = 1.5
"""A link that breaks after lying idle so long was dropped for it; one that breaks sooner tells of a server in trouble."""
GOODBYE_SECONDS = 1.0
JOIN_BELOW = 64 * 1024
"""Bytes; larger contents are not copied to be sent together with what follows."""


class SmtpSession:
    """Owns a wire. Used by one thread at a time; the iterator given to ``deliver`` should not block, since the content of one
    message leaves together with the envelope of the next. Closing ``deliver`` early drops the link: what has no `Delivery`
    by then was not delivered.
    """

    def __init__(
        self,
        wire: Wire,
        features: Features,
        config: SmtpConfig,
        pipelining: Pipelining,
        clock: Callable[[], float],
    ) -> None:
        self._wire = wire
        self._features = features
        self._config = config
        self._pipelining = pipelining
        self._clock = clock
        self._opened_at = self._used_at = clock()
        self._messages = 0
        self._fresh = True
        self._reset = False
        self._midway = False
        self._ended = ""
        self._stranded: List[Parcel] = []
        self._slots: List[int] = []

    def deliver(self, parcels: Iterable[Parcel]) -> Iterator[Delivery]:
        """See `base.Session`."""
        self._make_ready()
        source = iter(parcels)
        current = self._plan(source)
        try:
            while current is not None:
                began = self._clock()
                following = None if current.speechless else self._transact(current, source)
                self._used_at = self._clock()
                yield current.delivery(self._used_at - began)
                if self._ended:
                    raise SessionEnded(self._ended, self._stranded)
                current = following or self._plan(source)
        finally:
            if self._midway or self._ended:
                self._drop("left in the midst of a transaction")

    def close(self) -> None:
        """Say QUIT if the link still listens, and wait a moment for the answer."""
        if not self._ended and not self._midway:
            self._wire.send(b"QUIT\r\n", GOODBYE_SECONDS)
            try:
                self._wire.read(GOODBYE_SECONDS)
            except LinkLost:
                logger.debug("no answer to QUIT server=%s", self._config.server)
        self._drop("closed")

    def _drop(self, reason: str) -> None:
        self._ended = self._ended or reason
        self._wire.close()

    # between messages

    def _make_ready(self) -> None:
        """The link must be alive and within its limits before anything is taken."""
        if self._ended:
            raise SessionEnded(self._ended)
        self._fresh = not self._messages and self._clock() - self._used_at < IDLE_SECONDS
        if not self._wire.quiet():
            raise self._gone("the server ended the idle session", ())
        if self._limit_reached():
            self.close()
            raise SessionEnded("the session's own limit")

    def _limit_reached(self) -> bool:
        config = self._config
        if config.session_max_messages is not None and self._messages >= config.session_max_messages:
            return True
        return self._messages > 0 and self._clock() - self._opened_at >= config.session_max_seconds

    def _gone(self, reason: str, untouched: Iterable[Parcel], code: int = 0) -> TransportError:
        """The session is over before the next message was begun: whose fault depends on whether it ever worked."""
        self._drop(reason)
        error = ServerUnavailable if self._fresh else SessionEnded
        return error(f"{self._config.server}: {reason}", tuple(untouched), code)

    def _plan(self, source: Iterator[Parcel]) -> Optional[Transaction]:
        parcel = next(source, None)
        if parcel is None:
            return None
        return Transaction(parcel, self._features, pipelined=self._features.pipelining and not self._pipelining.broken)

    # one message

    def _transact(self, current: Transaction, source: Iterator[Parcel]) -> Optional[Transaction]:
        """Take ``current`` to its end; returns the one whose envelope went out behind it."""
        if not self._envelope(current):
            return None
        following = self._follower(current, source)
        self._send_content(current, following)
        try:
            reply = parse(self._wire.read(self._config.data_timeout))
        except (LinkLost, MalformedReply) as error:
            current.lose(str(error))
            if following is not None and following.chained:
                self._pipelining.suspect(following.parcel.key)
            self._strand(str(error), following)
            return None
        current.finish(reply)
        self._messages += 1
        self._fresh = False
        self._midway = following is not None and following.chained
        if reply.code == CLOSING:
            self._strand(str(reply), following)
            return None
        if 300 <= reply.code < 400:  # noqa: PLR2004 - class 3 asks for more where nothing more is due
            self._distrust(current)
            current.lose("the server's replies are out of step")
            self._strand("replies out of step", following)
            return None
        if following is None:
            self._after_last(current)
        return following

    def _after_last(self, current: Transaction) -> None:
        if self._wire.pending:
            if not self._wire.unasked().startswith(b"421"):
                self._distrust(current)
            self._strand("the server spoke out of turn", None)
        elif self._limit_reached():
            self.close()

    def _strand(self, reason: str, following: Optional[Transaction]) -> None:
        """The session ends once the current result is handed over; what was sent ahead is untouched."""
        self._stranded = [] if following is None else [following.parcel]
        self._drop(reason)

    def _envelope(self, current: Transaction) -> bool:
        """Offer the envelope and hear it out; True when the server waits for the content."""
        try:
            if not current.chained:
                self._say(current)
            while self._hear(current):
                self._say(current)
            self._conclude(current)
        except OutOfStep:
            self._out_of_step(current)
        except Closing as closing:
            self._interrupted(current, closing)
        except NotAllowedIn as refusal:
            self._drop(str(refusal))
            raise ServerUnavailable(
                f"{self._config.server}: {refusal}", (current.parcel,), refusal.reply.code
            ) from refusal
        except (LinkLost, MalformedReply) as error:
            self._broken_off(current, error)
        return not self._ended and current.taken

    def _say(self, transaction: Transaction) -> None:
        self._wire.send(self._opening_words(transaction), self._config.command_timeout)

    def _opening_words(self, transaction: Transaction) -> bytes:
        """The next group; remembers which answers it asks for."""
        if self._reset:
            transaction.reset_first()
            self._reset = False
        words, self._slots = transaction.next_group()
        self._midway = True
        return words

    def _hear(self, current: Transaction) -> bool:
        """Hear the answers to one group; True when there is more to say."""
        read, timeout = self._wire.read, self._config.command_timeout
        for slot in self._slots:
            current.hear(slot, read(timeout))
        return current.more

    def _conclude(self, current: Transaction) -> None:
        if self._wire.pending:
            raise OutOfStep
        if current.chained:
            self._pipelining.proven = True
        if current.taken:
            return
        if current.data_open:
            # nobody was taken, yet the server waits for content: an empty message ends it (RFC 2920 section 3.1)
            self._ask(b".\r\n")
        elif current.accepted:
            self._confirm_refusal(current)
        else:
            self._reset = True
        self._messages += 1
        self._fresh = False
        self._midway = False
        if self._limit_reached():
            self.close()

    def _confirm_refusal(self, current: Transaction) -> None:
        """DATA was refused though recipients were taken: a server out of step does not answer RSET with a lone 250."""
        if self._ask(b"RSET\r\n") == COMPLETED and not self._wire.pending:
            return
        if current.pipelined:
            raise OutOfStep
        self._drop("RSET refused")

    def _ask(self, words: bytes) -> int:
        self._wire.send(words, self._config.command_timeout)
        raw = self._wire.read(self._config.command_timeout)
        code = reply_code(raw)
        if code == CLOSING:
            raise Closing(parse(raw))
        return code

    def _follower(self, current: Transaction, source: Iterator[Parcel]) -> Optional[Transaction]:
        """The next message, when its envelope may go out behind this one's final dot."""
        if not current.pipelined or self._pipelining.broken or self._last_by_limit():
            return None
        return self._plan(source)

    def _last_by_limit(self) -> bool:
        config = self._config
        if config.session_max_messages is not None and self._messages + 1 >= config.session_max_messages:
            return True
        return self._clock() - self._opened_at >= config.session_max_seconds

    def _send_content(self, current: Transaction, following: Optional[Transaction]) -> None:
        content, behind = framed(current.parcel.content)
        if following is not None and not following.speechless and following.parcel.key not in self._pipelining.wary:
            behind += self._opening_words(following)
            following.chained = True
        timeout = self._config.data_timeout
        if len(content) < JOIN_BELOW:
            self._wire.send(content + behind, timeout)
        else:
            self._wire.send(content, timeout)
            self._wire.send(behind, timeout)

    # what may go wrong in an envelope

    def _distrust(self, current: Transaction) -> None:
        if current.pipelined:
            self._pipelining.distrust(self._config.server)

    def _out_of_step(self, current: Transaction) -> None:
        """No content was sent, so nothing was delivered: with PIPELINING the plain dialogue gets its chance first."""
        reason = "the server's replies are out of step"
        if current.pipelined:
            self._distrust(current)
            self._drop(reason)
            raise SessionEnded(reason, (current.parcel,))
        if not current.mail_answered:
            raise self._gone(reason, (current.parcel,))
        current.lose(reason)
        self._drop(reason)

    def _interrupted(self, current: Transaction, closing: Closing) -> None:
        if not current.mail_answered:
            raise self._gone(str(closing), (current.parcel,), CLOSING) from closing
        if not current.concluded:
            current.finish(closing.reply)
        self._drop(str(closing))

    def _broken_off(self, current: Transaction, error: Exception) -> None:
        reason = str(error)
        suspect = current.pipelined and not self._pipelining.proven and not current.concluded
        if suspect and (current.answered or current.chained):
            self._distrust(current)
            self._drop(reason)
            raise SessionEnded(f"{self._config.server}: {reason}", (current.parcel,)) from error
        if not current.mail_answered:
            raise self._gone(reason, (current.parcel,)) from error
        if not current.concluded:
            current.lose(reason)
        self._drop(reason)
