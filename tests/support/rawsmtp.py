"""SMTP servers below the level of a dialogue: bytes that do not fit the commands, and other ways to break on PIPELINING."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager


class Raw:
    """A server that reads what it will and says bytes, by a function of the connected socket."""

    def __init__(self, talk):
        self.talk = talk
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self.listener.getsockname()
        self.sessions = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            threading.Thread(target=self.one, args=(sock, self.sessions), daemon=True).start()

    def one(self, sock, number):
        with sock, sock.makefile("rb") as lines:
            try:
                self.talk(sock, lines, number)
            except (OSError, StopIteration):
                return


@contextmanager
def raw(talk):
    server = Raw(talk)
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()


class Dripping:
    """A socket that sends byte by byte."""

    def __init__(self, sock):
        self.sock = sock

    def sendall(self, data):
        for byte in data:
            self.sock.sendall(bytes([byte]))


def greet(sock, lines, *extensions):
    sock.sendall(b"220 raw\r\n")
    next(lines)
    sock.sendall(b"250-raw\r\n" + b"".join(b"250-%s\r\n" % one for one in extensions) + b"250 HELP\r\n")


def plain_dialogue(sock, lines, kept):
    """A correct server from here on, one command at a time."""
    for line in lines:
        if line.startswith(b"DATA"):
            sock.sendall(b"354 go\r\n")
            content = b"".join(iter(lambda: next(lines), b".\r\n"))
            kept.append(content)
        elif line.startswith(b"QUIT"):
            sock.sendall(b"221 bye\r\n")
            return
        sock.sendall(b"250 ok\r\n")


def broken_by(first_session):
    """Offers PIPELINING and breaks on it as ``first_session`` does; correct when spoken to one command at a time."""
    kept = []

    def talk(sock, lines, number):
        greet(sock, lines, b"PIPELINING")
        if number == 1:
            first_session(sock, lines, kept)
        else:
            plain_dialogue(sock, lines, kept)

    return talk, kept


def one_reply_too_few(sock, lines, _):
    [next(lines) for _ in range(3)]
    sock.sendall(b"250 ok\r\n354 go\r\n")
    list(lines)


def one_reply_too_many(sock, lines, _):
    [next(lines) for _ in range(3)]
    sock.sendall(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    list(lines)


def one_reply_too_many_at_the_end(sock, lines, _):
    [next(lines) for _ in range(3)]
    sock.sendall(b"250 ok\r\n250 ok\r\n354 go\r\n250 taken, of course\r\n")
    list(lines)


def forgets_its_input(sock, lines, _):
    [next(lines) for _ in range(3)]
    sock.sendall(b"250 ok\r\n")
    list(lines)


def hangs_up_on_it(sock, lines, _):
    next(lines)
    sock.sendall(b"250 ok\r\n")


def loses_its_state(sock, lines, _):
    [next(lines) for _ in range(3)]
    sock.sendall(b"250 ok\r\n503 MAIL first\r\n503 RCPT first\r\n")
    list(lines)


def forgets_what_is_behind_the_dot(sock, lines, kept):
    [next(lines) for _ in range(3)]
    sock.sendall(b"250 ok\r\n250 ok\r\n354 go\r\n")
    kept.append(b"".join(iter(lambda: next(lines), b".\r\n")))
    sock.sendall(b"250 ok\r\n")
    list(lines)


BREAKS = (
    one_reply_too_few,
    one_reply_too_many,
    one_reply_too_many_at_the_end,
    forgets_its_input,
    hangs_up_on_it,
    loses_its_state,
    forgets_what_is_behind_the_dot,
)
