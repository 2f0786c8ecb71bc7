"""One client's session with the test SMTP server: the dialogue, in a thread of its own."""

from __future__ import annotations

import base64
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Iterator

from tests.support.smtpscript import Close, Received
from tests.support.smtpwire import Over, Wire, shut_down

if TYPE_CHECKING:
    from tests.support.smtpserver import SmtpServer


class Connection(Wire):
    """One client's session, in its own thread."""

    def __init__(self, server: SmtpServer, sock: socket.socket, peer: tuple, number: int) -> None:
        super().__init__(sock)
        self.server, self.peer, self.number = server, peer, number
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
            shut_down(self.sock)
            self.sock.close()
            self.server.live.pop(self.number, None)

    def abort(self) -> None:
        shut_down(self.sock)

    # dialogue

    def reply(self, text: str) -> None:
        if self.server.script.delay:
            time.sleep(self.server.script.delay)
        super().reply(text)
        if self.server.prompt:
            self.flush()

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
