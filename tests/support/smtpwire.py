"""Lines, replies and message content on a socket, the server's side of SMTP."""

from __future__ import annotations

import socket


class Over(Exception):
    """The session is over."""


class Wire:
    """A buffered socket: replies to a pipelined group go out together."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.inbox, self.outbox = bytearray(), bytearray()

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


def shut_down(sock: socket.socket) -> None:
    """Wake whoever reads from *sock*."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is not connected any more
        return
