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

import base64
import itertools
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator

from tests.support.waiting import wait_until

Answer = Any  # None, a reply or Close

EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")


@dataclass(frozen=True)
class Received:
    """A message the server took, and how it came."""

    mail_from: str
    rcpt_to: tuple[str, ...]
    content: bytes
    """The bytes as they were sent, CRLF and all, without the final dot."""
    options: tuple[str, ...]
    """Parameters of MAIL, such as BODY=8BITMIME."""
    queue_id: str
    session: int
    """Number of the connection it came by, from 1."""
    peer: tuple
    at: float
    """time.time() when the last byte was there."""
    tls: bool = False
    user: str | None = None


@dataclass(frozen=True)
class Close:
    """End the session: with a last reply, or without a word; *keep*: having taken the message (on_message only)."""

    reply: str | None = None
    keep: bool = False
    reset: bool = False
    """Send RST instead of FIN."""


@dataclass
class Script:
    """What the server says instead of the usual. ``delay`` are seconds before each reply."""

    on_connect: Callable[[], Answer] | None = None
    on_ehlo: Callable[[], Answer] | None = None
    on_starttls: Callable[[], Answer] | None = None
    on_auth: Callable[[str], Answer] | None = None
    on_mail: Callable[[str], Answer] | None = None
    on_rcpt: Callable[[str], Answer] | None = None
    on_data: Callable[[], Answer] | None = None
    on_message: Callable[[Received], Answer] | None = None
    on_rset: Callable[[], Answer] | None = None
    on_noop: Callable[[], Answer] | None = None
    on_quit: Callable[[], Answer] | None = None
    delay: float = 0.0

    def ask(self, event: str, *arguments: Any) -> Answer:
        callback = getattr(self, "on_" + event)
        return callback(*arguments) if callback else None


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
            _shutdown(listener)
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

    def __enter__(self) -> SmtpServer:
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


class Over(Exception):
    """The session is over."""


class Connection:
    """One client's session, in its own thread."""

    def __init__(self, server: SmtpServer, sock: socket.socket, peer: tuple, number: int) -> None:
        self.server, self.sock, self.peer, self.number = server, sock, peer, number
        self.inbox, self.outbox = bytearray(), bytearray()
        self.secured = False
        self.user: str | None = None
        self.taken = 0
        self.greeted = False
        self.reset()
        self.thread = threading.Thread(target=self.run, name=f"smtpd-{number}", daemon=True)

    def reset(self) -> None:
        self.mail_from: str | None = None
        self.rcpt_to: list[str] = []
        self.options: tuple[str, ...] = ()

    def run(self) -> None:
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.server.implicit_tls:
                self.secure()
            self.greet()
            while True:
                self.command(self.line())
        except (Over, OSError, ValueError):  # ValueError: the socket was closed under the TLS layer
            pass
        except BaseException as error:  # a script's own mistake must show in the test
            self.server.errors.append(error)
            raise
        finally:
            _shutdown(self.sock)
            self.sock.close()
            self.server.live.pop(self.number, None)

    def abort(self) -> None:
        _shutdown(self.sock)

    # bytes

    def line(self) -> str:
        """The next command line, without its CRLF."""
        while True:
            end = self.inbox.find(b"\r\n")
            if end >= 0:
                line = bytes(self.inbox[:end])
                del self.inbox[: end + 2]
                return line.decode("utf-8", "surrogateescape")
            self.fill()

    def fill(self) -> None:
        self.flush()
        chunk = self.sock.recv(262144)
        if not chunk:
            raise Over
        self.inbox += chunk

    def reply(self, text: str) -> None:
        """Queue a reply of one or more lines; it is sent when there is nothing more to read (RFC 2920)."""
        if self.server.script.delay:
            time.sleep(self.server.script.delay)
        lines = text.split("\n")
        for line in lines[:-1]:
            self.outbox += f"{line[:3]}-{line[4:]}\r\n".encode("utf-8", "surrogateescape")
        self.outbox += f"{lines[-1]}\r\n".encode("utf-8", "surrogateescape")

    def flush(self) -> None:
        if self.outbox:
            self.sock.sendall(self.outbox)
            self.outbox.clear()

    def content(self) -> bytes:
        """The message up to the final dot, unstuffed (RFC 5321, 4.5.2)."""
        self.inbox[:0] = b"\r\n"
        start = 0
        while True:
            end = self.inbox.find(b"\r\n.\r\n", start)
            if end >= 0:
                break
            start = max(0, len(self.inbox) - 4)
            self.fill()
        raw = bytes(self.inbox[: end + 2])
        del self.inbox[: end + 5]
        return raw.replace(b"\r\n.", b"\r\n")[2:]

    # dialogue

    def answer(self, event: str, *arguments: Any) -> bool:
        """Let the script speak; whether it refused (anything but the usual or 2xx/3xx)."""
        said = self.server.script.ask(event, *arguments)
        if isinstance(said, Close):
            self.close(said)
        if said is None:
            return False
        self.reply(said)
        self.spoken = True
        return not said.startswith(("2", "3"))

    def close(self, how: Close) -> None:
        if how.reply:
            self.reply(how.reply)
        self.flush()
        if how.reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            self.sock.close()
        raise Over

    def greet(self) -> None:
        limit = self.server.max_sessions
        if limit is not None and len(self.server.live) > limit:
            self.close(Close("421 4.7.0 too many connections"))
        self.spoken = False
        if self.answer("connect"):
            self.close(Close())
        if not self.spoken:
            self.reply(self.server.greeting)

    def command(self, line: str) -> None:
        verb, _, argument = line.partition(" ")
        self.server.log(self.number, "AUTH" if verb.upper() == "AUTH" else line)
        self.spoken = False
        handler = getattr(self, "do_" + verb.lower(), None)
        if handler is None:
            self.reply("500 5.5.1 what?")
        else:
            handler(argument.strip())

    def do_ehlo(self, argument: str) -> None:
        self.reset()
        if self.answer("ehlo") or self.spoken:
            return
        self.greeted = True
        self.reply("\n".join("250 " + word for word in ("sink.example", *self.offers())))

    def do_helo(self, argument: str) -> None:
        self.reset()
        self.greeted = True
        self.reply("250 sink.example")

    def offers(self) -> Iterator[str]:
        server = self.server
        yield from server.extensions
        if server.max_size is not None:
            yield f"SIZE {server.max_size}"
        if server.tls and not self.secured:
            yield "STARTTLS"
        if server.credentials is not None and (self.secured or not server.require_tls):
            yield "AUTH PLAIN LOGIN"

    def do_starttls(self, argument: str) -> None:
        if self.server.tls is None or self.secured:
            self.reply("502 5.5.1 not here")
            return
        if self.answer("starttls"):
            return
        if not self.spoken:
            self.reply("220 2.0.0 go ahead")
        self.flush()
        self.inbox.clear()
        self.secure()

    def secure(self) -> None:
        assert self.server.tls is not None
        self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)
        self.secured = True
        self.user = None
        self.reset()

    def do_auth(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        if mechanism.upper() == "PLAIN":
            _, user, password = self.secret(initial, "334 ").split("\0")
        elif mechanism.upper() == "LOGIN":
            user = self.secret(initial, "334 VXNlcm5hbWU6")
            password = self.secret("", "334 UGFzc3dvcmQ6")
        else:
            self.reply("504 5.5.4 unknown mechanism")
            return
        if self.answer("auth", user) or self.spoken:
            return
        if (self.server.credentials or {}).get(user) != password:
            self.reply("535 5.7.8 authentication failed")
            return
        self.user = user
        self.reply("235 2.7.0 welcome")

    def secret(self, initial: str, prompt: str) -> str:
        if not initial:
            self.reply(prompt)
            initial = self.line()
        return base64.b64decode(initial).decode()

    def do_mail(self, argument: str) -> None:
        server = self.server
        address, *options = argument[len("FROM:") :].strip().split(" ")
        address = address.strip("<>")
        size = next((int(option[5:]) for option in options if option.upper().startswith("SIZE=")), 0)
        refusal = self.answer("mail", address)
        if refusal:
            return
        if server.max_messages is not None and self.taken >= server.max_messages:
            self.close(Close("421 4.7.0 too many messages in this session"))
        for objection in self.objections(address, options, size):
            self.reply(objection)
            return
        self.mail_from, self.options = address, tuple(options)
        if not self.spoken:
            self.reply("250 2.1.0 Ok")

    def objections(self, address: str, options: list[str], size: int) -> Iterator[str]:
        server = self.server
        if not self.greeted:
            yield "503 5.5.1 say hello first"
        if server.require_tls and not self.secured:
            yield "530 5.7.0 STARTTLS first"
        if server.credentials is not None and self.user is None:
            yield "530 5.7.0 authenticate first"
        if self.mail_from is not None:
            yield "503 5.5.1 nested MAIL"
        if server.max_size is not None and size > server.max_size:
            yield "552 5.3.4 message too big"
        for option in options:
            name = option.upper().partition("=")[0]
            needs = {"BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8"}.get(name)
            if (needs and needs not in server.extensions) or (name == "SIZE" and server.max_size is None):
                yield f"555 5.5.4 {name} is not offered"
        if not address.isascii() and "SMTPUTF8" not in map(str.upper, options):
            yield "553 5.6.7 SMTPUTF8 needed"

    def do_rcpt(self, argument: str) -> None:
        address = argument[len("TO:") :].strip().split(" ")[0].strip("<>")
        if self.mail_from is None:
            self.reply("503 5.5.1 MAIL first")
            return
        if self.answer("rcpt", address):
            return
        if not address.isascii() and "SMTPUTF8" not in map(str.upper, self.options):
            self.reply("553 5.6.7 SMTPUTF8 needed")
            return
        self.rcpt_to.append(address)
        if not self.spoken:
            self.reply("250 2.1.5 Ok")

    def do_data(self, argument: str) -> None:
        if not self.rcpt_to:
            self.reply("503 5.5.1 no valid recipients" if self.mail_from is None else "554 5.5.1 no valid recipients")
            return
        if self.answer("data"):
            return
        if not self.spoken:
            self.reply("354 end with a dot")
        message = self.message(self.content())
        self.spoken = False
        self.settle(message)
        self.reset()

    def message(self, content: bytes) -> Received:
        return Received(
            mail_from=self.mail_from or "",
            rcpt_to=tuple(self.rcpt_to),
            content=content,
            options=self.options,
            queue_id=f"Q{next(self.server.ids):07d}",
            session=self.number,
            peer=self.peer,
            at=time.time(),
            tls=self.secured,
            user=self.user,
        )

    def settle(self, message: Received) -> None:
        """Take the message or refuse it; it is kept before the 250 goes out."""
        limit = self.server.max_size
        if limit is not None and len(message.content) > limit:
            self.reply("552 5.3.4 message too big")
            return
        said = self.server.script.ask("message", message)
        taken = said.keep if isinstance(said, Close) else said is None or said.startswith("2")
        if taken:
            self.taken += 1
            self.server.store(message)
        if isinstance(said, Close):
            self.close(said)
        self.reply(said or f"250 2.0.0 Ok: queued as {message.queue_id}")

    def do_rset(self, argument: str) -> None:
        self.reset()
        self.answer("rset")
        if not self.spoken:
            self.reply("250 2.0.0 Ok")

    def do_noop(self, argument: str) -> None:
        self.answer("noop")
        if not self.spoken:
            self.reply("250 2.0.0 Ok")

    def do_vrfy(self, argument: str) -> None:
        self.reply("252 2.0.0 try it")

    def do_quit(self, argument: str) -> None:
        self.answer("quit")
        if not self.spoken:
            self.reply("221 2.0.0 bye")
        self.close(Close())


def _shutdown(sock: socket.socket) -> None:
    """Wake whoever reads from *sock*."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is not connected any more
        return


if __name__ == "__main__":
    from tests.support.spool import main

    main()
