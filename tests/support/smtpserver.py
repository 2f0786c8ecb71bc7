"""A real SMTP server for tests: fast, threaded, plain sockets, and misbehaving by script.

It keeps every message it took exactly as it was sent (dots unstuffed)::

    with SmtpServer() as server:
        ...                                   # send to server.host, server.port
        [message] = server.wait_for(1)
        assert message.rcpt_to == ("you@example.com",)

A ``Script`` answers in the server's place. Each of its callbacks returns None for the usual answer, a reply
(``"451 4.3.0 later"``), or ``Close(...)`` to end the session there; it runs in the session's own thread, so it may
also wait (for an Event, say) before it returns::

    script = Script(on_rcpt=lambda address: "550 5.1.1 who?" if address.startswith("nobody") else None)

As a process, ``python -m tests.support.smtpserver --port 0 --spool DIR`` prints ``port N`` and writes each message
into DIR: ``<queue id>.eml``, its bytes, and then ``<queue id>.json``, its envelope. Both are there before the 250 is.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import Callable

from tests.support.smtpscript import Close, Received, Script
from tests.support.smtpsession import Connection
from tests.support.smtpwire import shut_down
from tests.support.waiting import wait_until

__all__ = ["EXTENSIONS", "Close", "Received", "Script", "SmtpServer"]

EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")


@dataclass
class SmtpServer:
    """A server on ``host:port``, from ``start()`` to ``stop()``; a context manager that does both."""

    script: Script = field(default_factory=Script)
    host: str = "127.0.0.1"
    port: int = 0
    extensions: tuple[str, ...] = EXTENSIONS
    max_size: int | None = None
    """Bytes; offered as SIZE, and kept to."""
    max_messages: int | None = None
    """Messages in one session; 421 to the MAIL after that."""
    max_sessions: int | None = None
    """Sessions at a time; 421 instead of a greeting to the one too many."""
    credentials: dict[str, str] | None = None
    """User to password: AUTH PLAIN and LOGIN are offered, and required."""
    tls: ssl.SSLContext | None = None
    """Offers STARTTLS."""
    require_tls: bool = False
    implicit_tls: bool = False
    """*tls* from the first byte (port 465's way)."""
    greeting: str = "220 sink.example ESMTP"
    prompt: bool = False
    """Each reply goes out at once; otherwise those to a pipelined group go together."""
    keep: bool = True
    """Keep messages and commands; a benchmark may only count."""
    on_received: Callable[[Received], None] | None = None

    def __post_init__(self) -> None:
        self.received: list[Received] = []
        self.commands: list[tuple[int, str]] = []
        """(session, line) of every command, in the order of arrival; message content and credentials are left out."""
        self.count = 0
        self.session_count = 0
        self.most_sessions = 0
        self.errors: list[BaseException] = []
        self.ids = itertools.count(1)
        self.lock = threading.Lock()
        self.live: dict[int, Connection] = {}
        self.listener: socket.socket | None = None

    # life

    def start(self) -> SmtpServer:
        self.reserve()
        assert self.listener is not None
        self.listener.listen(256)
        self.acceptor = threading.Thread(target=self.accept, args=(self.listener,), name="smtpd", daemon=True)
        self.acceptor.start()
        return self

    def reserve(self) -> None:
        """Hold the port without listening: whoever connects is refused, and nobody else gets it."""
        if self.listener is None:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((self.host, self.port))
            self.port = self.listener.getsockname()[1]

    def stop(self) -> None:
        """Refuse connections and cut those there are."""
        if self.listener is not None:
            listener, self.listener = self.listener, None
            shut_down(listener)
            listener.close()
            self.acceptor.join(10)
        for connection in list(self.live.values()):
            connection.abort()
        for connection in list(self.live.values()):
            connection.thread.join(10)

    def pause(self) -> None:
        """An outage: as ``stop``, but the port stays ours until ``resume``."""
        self.stop()
        self.reserve()

    def resume(self) -> None:
        self.start()

    def __enter__(self) -> SmtpServer:  # noqa: PYI034 - Self is not in 3.8
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # what came

    def wait_for(self, count: int, timeout: float = 60) -> list[Received]:
        """The messages received, once they are at least *count*."""
        wait_until(lambda: self.count >= count, timeout, lambda: f"{count} messages, there are {self.count}")
        return list(self.received)

    def clear(self) -> None:
        with self.lock:
            self.received.clear()
            self.commands.clear()
            self.count = 0

    def verbs(self, session: int | None = None) -> list[str]:
        """The commands' first words, of one session or all."""
        lines = [line for number, line in list(self.commands) if session in {None, number}]
        return [line.split(" ")[0].split(":")[0].upper() for line in lines]

    @property
    def open_sessions(self) -> int:
        return len(self.live)

    # for the sessions

    def accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, peer = listener.accept()
            except OSError:  # closed by stop()
                return
            with self.lock:
                self.session_count += 1
                connection = Connection(self, sock, peer, self.session_count)
                self.live[connection.number] = connection
                self.most_sessions = max(self.most_sessions, len(self.live))
            connection.thread.start()

    def log(self, session: int, line: str) -> None:
        if self.keep:
            self.commands.append((session, line))

    def store(self, message: Received) -> None:
        if self.on_received:
            self.on_received(message)
        with self.lock:
            if self.keep:
                self.received.append(message)
            self.count += 1


if __name__ == "__main__":
    from tests.support.spool import main

    main()
