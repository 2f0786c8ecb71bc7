"""One socket, spoken to in writes and whole replies. Time-outs are totals: a server that drips bytes gains nothing."""

from __future__ import annotations

import ssl
from contextlib import suppress
from socket import socket
from time import monotonic

CHUNK = 1024 * 1024
"""Bytes of one write that its time-out has to do with."""
MAX_REPLY = 64 * 1024
LAST_WORDS = 2.0
"""Seconds to wait for an explanation once a write has failed."""


class LinkLost(Exception):
    """The link is gone, timed out, or carries what is no SMTP."""


class Wire:
    """Owns a connected socket. ``send`` never raises: what went wrong shows when the answer is read, since a server that
    hangs up often has said why. ``read`` raises `LinkLost`.
    """

    __slots__ = ("_buffer", "_failure", "_position", "_timeout", "sock")

    def __init__(self, sock: socket) -> None:
        self.sock = sock
        self._buffer = b""
        self._position = 0
        self._timeout: float | None = sock.gettimeout()
        self._failure = ""

    def send(self, data: bytes, timeout: float) -> None:
        if self._failure:
            return
        try:
            self._set_timeout(timeout)
            if len(data) <= CHUNK:
                self.sock.sendall(data)
            else:
                view = memoryview(data)
                for start in range(0, len(data), CHUNK):
                    self.sock.sendall(view[start : start + CHUNK])
        except OSError as error:
            self._failure = _reason(error, "sending")

    def read(self, timeout: float) -> bytes:
        """The next whole reply, however many lines; ``timeout`` seconds are all the server has for it."""
        position, deadline = self._position, 0.0
        while True:
            end = self._buffer.find(b"\n", position) + 1
            if not end:
                remaining = deadline - monotonic() if deadline else timeout
                deadline = deadline or monotonic() + timeout
                position -= self._position
                self._fill(remaining)
            elif self._buffer[position + 3 : position + 4] == b"-":
                position = end
            else:
                reply = self._buffer[self._position : end]
                self._position = end
                return reply

    def _fill(self, timeout: float) -> None:
        """Receive some more; what was read is trimmed from the buffer's front."""
        rest = self._buffer[self._position :]
        if len(rest) > MAX_REPLY:
            raise LinkLost("the server's reply has no end")
        self._buffer = rest + self._receive(timeout)
        self._position = 0

    def _receive(self, timeout: float) -> bytes:
        if self._failure:
            timeout = min(timeout, LAST_WORDS)
        try:
            if timeout <= 0:
                raise TimeoutError
            self._set_timeout(timeout)
            data = self.sock.recv(65536)
        except OSError as error:
            raise LinkLost(self._failure or _reason(error, "waiting for an answer")) from error
        if not data:
            raise LinkLost(self._failure or "the server closed the link")
        return data

    def _set_timeout(self, timeout: float) -> None:
        if timeout != self._timeout:
            self.sock.settimeout(timeout)
            self._timeout = timeout

    @property
    def pending(self) -> bool:
        """Whether the server has said more than was read so far, as far as it arrived."""
        return self._position < len(self._buffer)

    def quiet(self) -> bool:
        """Whether an idle link is open and silent: a server that speaks unasked, or hangs up, has ended the session."""
        if self.pending or self._failure:
            return False
        self._set_timeout(0)
        try:
            data = self.sock.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        self._buffer, self._position = data, 0
        return False

    def unasked(self) -> bytes:
        """What the server said unasked before it hung up, "" when nothing."""
        return self._buffer[self._position :]

    def close(self) -> None:
        with suppress(OSError):
            self.sock.close()


def _reason(error: OSError, doing: str) -> str:
    """Why a link broke, in words without addresses or payload."""
    if isinstance(error, (TimeoutError, BlockingIOError)) or "timed out" in str(error):
        return f"time-out while {doing}"
    return f"link lost while {doing}: {error.strerror or type(error).__name__}"
