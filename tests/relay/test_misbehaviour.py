"""Servers that misbehave, before the whole engine and a real database: the fate of every recipient, and of the neighbours.

Each row of the tables is one misbehaviour. Three messages are drained by one session: ``before``, ``odd`` and ``after``. Then the
server is well again and what is left is drained too: in the end nothing is lost and nobody has anything twice (P1–P6).
"""

from __future__ import annotations

import socket
import threading
from collections import Counter

import pytest

from email_relay.models import Message, Server, Status
from email_relay.relay.drain import CIRCUIT_OPEN, drain
from email_relay.relay.transport.smtp import SmtpTransport
from tests.relay.rows import ago, queued
from tests.relay.transport.sending import smtp, still
from tests.support.rawsmtp import BREAKS, Dripping, broken_by, greet, plain_dialogue, raw
from tests.support.smtpserver import EXTENSIONS, Close, Script, SmtpServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db

ONE = ["odd@example.com"]
TWO = ["odd1@example.com", "odd2@example.com"]
HUNDRED = [f"odd{n}@example.com" for n in range(100)]
SHORT = 4.0
"""Seconds of time-out in the rows that wait for one."""
SENT, DEFERRED, FAILED = Status.SENT, Status.DEFERRED, Status.FAILED
HANG = "an answer that never comes"


class Odd:
    """A script that misbehaves at one event of the message ``odd``: every time, or the first time only."""

    def __init__(self, event, answer, *, once=False):
        self.event, self.answer, self.once = event, answer, once
        self.now = self.done = False
        self.over = threading.Event()

    def script(self):
        return Script(
            on_mail=self.mail,
            on_rcpt=lambda to: self.at("rcpt", to),
            on_data=lambda: self.at("data"),
            on_message=lambda _: self.at("message"),
        )

    def mail(self, sender):
        self.now = sender.startswith("odd")
        return self.at("mail")

    def at(self, event, *arguments):
        if event != self.event or not self.now or (self.once and self.done):
            return None
        self.done = True
        answer = self.answer(*arguments) if callable(self.answer) else self.answer
        if answer is HANG:
            self.over.wait(60)
            return Close()
        return answer


@pytest.fixture(params=["pipelining", "plain"])
def extensions(request):
    return EXTENSIONS if request.param == "pipelining" else ("8BITMIME", "SMTPUTF8")


@pytest.fixture
def relay(engines):
    """A relay with one session; its drains share it."""

    def make(transport: SmtpTransport, **settings):
        return engines(transport, SMTP_MAX_SESSIONS=1, **settings)

    return make


def batch(recipients=ONE, content=b""):
    """The three, in this order."""
    for priority, name in ((3, "before"), (2, "odd"), (1, "after")):
        queued(
            priority=priority,
            envelope_from=f"{name}@sender.example",
            recipients=recipients if name == "odd" else [f"{name}@example.com"],
            mime=b"Subject: %s\r\n\r\n%s\r\n" % (name.encode(), content if name == "odd" else b""),
        )


def message(name):
    return Message.objects.get(envelope_from=f"{name}@sender.example")


def fates(odd):
    """How many recipients are accepted, still owed, refused."""
    refused = len(odd.refused or {})
    waits = odd.status in (Status.QUEUED, DEFERRED)
    owed = len(odd.recipients if odd.pending is None else odd.pending) if waits else 0
    return {"accepted": len(odd.recipients) - owed - refused, "owed": owed, "refused": refused}


def arrived(server):
    return Counter(to for one in list(server.received) for to in one.rcpt_to)


def well_again(relay, server):
    """Everything that waits is tried once more, by a server that behaves."""
    server.script = Script()
    server.max_size = None
    Server.objects.update(probe_at=ago(1))
    Message.objects.filter(status=DEFERRED).update(due_at=ago(1))
    drain(engine=relay)


def accepted(count=1):
    return {"accepted": count, "owed": 0, "refused": 0}


def owed(count=1):
    return {"accepted": 0, "owed": count, "refused": 0}


def refused(count=1):
    return {"accepted": 0, "owed": 0, "refused": count}


# fmt: off
IN_A_TRANSACTION = {
    # what the server does to ``odd``:       at, answer                              its recipients     status     in the end
    "421 to MAIL, once":                     ("mail", Close("421 4.3.2 bye"), True,  ONE, accepted(),   SENT,      SENT),
    "421 to RCPT":                           ("rcpt", Close("421 4.3.2 bye"), False, ONE, owed(),       DEFERRED,  SENT),
    "421 to DATA":                           ("data", Close("421 4.3.2 bye"), False, ONE, owed(),       DEFERRED,  SENT),
    "421 after the dot":                     ("message", Close("421 4.3.2 bye"), False, ONE, owed(),    DEFERRED,  SENT),
    "link dropped at MAIL, once":            ("mail", Close(), True,                 ONE, accepted(),   SENT,      SENT),
    "link dropped at RCPT, twice":           ("rcpt", Close(), False,                ONE, owed(),       DEFERRED,  SENT),
    "link dropped at DATA, twice":           ("data", Close(), False,                ONE, owed(),       DEFERRED,  SENT),
    "link dropped before the final reply":   ("message", Close(), False,             ONE, owed(),       DEFERRED,  SENT),
    "link reset before the final reply":     ("message", Close(reset=True), False,   ONE, owed(),       DEFERRED,  SENT),
    "link dropped after the final reply":    ("message", Close("250 Ok", keep=True), False, ONE, accepted(), SENT, SENT),
    "hangs without an answer to RCPT":       ("rcpt", HANG, False,                   ONE, owed(),       DEFERRED,  SENT),
    "hangs without an answer to the dot":    ("message", HANG, False,                ONE, owed(),       DEFERRED,  SENT),
    "one of 100 recipients refused":         ("rcpt", {HUNDRED[42]: "550 5.1.1 who?"}.get, False,
                                              HUNDRED, {"accepted": 99, "owed": 0, "refused": 1},       FAILED,    FAILED),
    "4xx for one and 5xx for another":       ("rcpt", {TWO[0]: "450 4.2.1 later", TWO[1]: "550 5.1.1 who?"}.get, False,
                                              TWO, {"accepted": 0, "owed": 1, "refused": 1},            DEFERRED,  FAILED),
    "4xx for one of two":                    ("rcpt", {TWO[0]: "450 4.2.1 later"}.get, False,
                                              TWO, {"accepted": 1, "owed": 1, "refused": 0},            DEFERRED,  SENT),
    "5xx for all":                           ("rcpt", "550 5.1.1 who?", False,       TWO, refused(2),   FAILED,    FAILED),
    "5xx to MAIL":                           ("mail", "550 5.7.1 not you", False,    TWO, refused(2),   FAILED,    FAILED),
    "4xx to MAIL":                           ("mail", "451 4.7.1 greylisted", False, TWO, owed(2),      DEFERRED,  SENT),
    "4xx to DATA":                           ("data", "451 4.3.0 later", False,      TWO, owed(2),      DEFERRED,  SENT),
    "552 to the content":                    ("message", "552 5.3.4 too big", False, TWO, refused(2),   FAILED,    FAILED),
    "250 to MAIL and 503 to RCPT":           ("rcpt", "503 5.5.1 MAIL first", False, ONE, refused(),    FAILED,    FAILED),
    "reply lines of 5,000 bytes":            ("rcpt", "250 " + "x" * 5000, False,    ONE, accepted(),   SENT,      SENT),
    "a refusal of 5,000 bytes":              ("message", "554 " + "x" * 5000, False, ONE, refused(),    FAILED,    FAILED),
    "354 where the end was due":             ("message", "354 go on", False,         ONE, owed(),       DEFERRED,  SENT),
}
# fmt: on


@pytest.mark.parametrize("row", IN_A_TRANSACTION.values(), ids=IN_A_TRANSACTION)
def test_p3_a_misbehaviour_in_a_transaction_is_that_messages_alone(relay, extensions, row):
    event, answer, once, recipients, fate, status, in_the_end = row
    odd = Odd(event, answer, once=once)
    with SmtpServer(script=odd.script(), extensions=extensions, prompt=answer is HANG) as server:
        relay = relay(smtp(server, timeout=SHORT if answer is HANG else 60.0))
        batch(recipients)
        drain(engine=relay)
        if message("odd").retry_count == 0 and message("odd").status == Status.QUEUED:
            # a fresh session died at it, which looks like an outage once; at the second it is this message (P5)
            Server.objects.update(probe_at=ago(1))
            drain(engine=relay)
        assert (message("before").status, message("after").status) == (SENT, SENT)
        assert (fates(message("odd")), message("odd").status) == (fate, status)
        odd.over.set()
        well_again(relay, server)
        relay.close()
    assert message("odd").status == in_the_end
    everyone = {"before@example.com", "after@example.com", *recipients} - set(message("odd").refused or {})
    assert arrived(server) == Counter(everyone)
    assert not server.errors


def test_p2_a_server_that_hangs_on_an_envelope_sent_ahead_harms_one_neighbour_and_no_second(relay):
    """It answers a group at once, so the 250 for ``before`` is never heard: that one is doubled. Nothing goes ahead of ``odd`` again."""
    odd = Odd("rcpt", HANG)
    with SmtpServer(script=odd.script()) as server:
        relay = relay(smtp(server, timeout=2.0))
        batch()
        drain(engine=relay)
        assert (message("before").status, message("after").status) == (DEFERRED, SENT)
        Server.objects.update(probe_at=ago(1))
        drain(engine=relay)
        assert (message("odd").status, message("odd").retry_count) == (DEFERRED, 1)
        odd.over.set()
        well_again(relay, server)
        relay.close()
    assert set(Message.objects.values_list("status", flat=True)) == {SENT}
    assert arrived(server) == {"before@example.com": 2, "odd@example.com": 1, "after@example.com": 1}


def test_p3_552_by_the_size_that_mail_announces(relay, extensions):
    with SmtpServer(extensions=extensions, max_size=1000) as server:
        relay = relay(smtp(server))
        batch(TWO, content=b"x" * 5000)
        drain(engine=relay)
        assert (fates(message("odd")), message("odd").status) == (refused(2), FAILED)
        assert message("odd").refused[TWO[0]].startswith("552")
        relay.close()
    assert arrived(server) == Counter(["before@example.com", "after@example.com"])


SECRET = {"username": "relay", "password": "secret"}
# fmt: off
BEFORE_A_TRANSACTION = {
    "closes after connect":   (Script(on_connect=Close), {}),
    "greets 554":             (Script(on_connect=lambda: "554 5.3.2 no"), {}),
    "greets 421":             (Script(on_connect=lambda: Close("421 4.3.2 later")), {}),
    "421 to EHLO":            (Script(on_ehlo=lambda: Close("421 4.3.2 later")), {}),
    "drops STARTTLS":         (Script(on_starttls=Close), {"use_tls": True}),
    "refuses STARTTLS":       (Script(on_starttls=lambda: "454 4.7.0 not now"), {"use_tls": True}),
    "AUTH 535":               (Script(on_auth=lambda _: "535 5.7.8 no"), SECRET),
    "AUTH 454":               (Script(on_auth=lambda _: "454 4.7.0 later"), SECRET),
    "530 to MAIL":            (Script(on_mail=lambda _: "530 5.7.0 authenticate first"), {}),
    "421 to the first MAIL":  (Script(on_mail=lambda _: Close("421 4.3.2 down")), {}),
    "link dropped at once":   (Script(on_mail=lambda _: Close()), {}),
}
# fmt: on


@pytest.mark.parametrize("row", BEFORE_A_TRANSACTION.values(), ids=BEFORE_A_TRANSACTION)
def test_p6_trouble_before_a_transaction_is_the_servers_and_costs_no_attempt(relay, extensions, authority, row):
    script, options = row
    tls = {"tls_ca_file": str(authority.ca)} if "use_tls" in options else {}
    with SmtpServer(
        script=script,
        extensions=extensions,
        tls=authority.server_context() if tls else None,
        credentials={"relay": "secret"} if "username" in options else None,
    ) as server:
        relay = relay(smtp(server, clock=still, **options, **tls))
        batch()
        assert drain(engine=relay).reason == CIRCUIT_OPEN
        assert set(Message.objects.values_list("status", "retry_count", "lapse_count")) == {(Status.QUEUED, 0, 0)}
        assert arrived(server) == Counter()
        well_again(relay, server)
        relay.close()
    assert set(Message.objects.values_list("status", "retry_count", "lapse_count")) == {(SENT, 0, 0)}
    assert arrived(server) == Counter(["before@example.com", "odd@example.com", "after@example.com"])


def three_per_session(extensions):
    return SmtpServer(extensions=extensions, max_messages=3)


def one_session_at_a_time(extensions):
    return SmtpServer(extensions=extensions, max_sessions=1)


@pytest.mark.parametrize("limited", [three_per_session, one_session_at_a_time])
def test_p6_a_limit_of_the_server_is_no_trouble(engines, extensions, limited):
    for _ in range(10):
        queued()
    with limited(extensions) as server:
        relay = engines(smtp(server), SMTP_MAX_SESSIONS=4)
        assert drain(engine=relay).sent == 10
        relay.close()
    assert set(arrived(server).values()) == {1}
    assert set(Message.objects.values_list("status", "retry_count")) == {(SENT, 0)}


def test_p6_an_idle_session_the_server_closed_is_no_trouble(relay, extensions):
    """The link is gone between two drains: the next begins with a new one, and charges nobody."""
    with SmtpServer(extensions=extensions) as server:
        relay = relay(smtp(server))
        queued()
        drain(engine=relay)
        for connection in list(server.live.values()):
            connection.abort()
        wait_until(lambda: not server.live)
        batch()
        assert drain(engine=relay).sent == 3
        relay.close()
    assert set(arrived(server).values()) == {1}
    assert set(Message.objects.values_list("status", "retry_count")) == {(SENT, 0)}


# below the level of a dialogue


def in_fragments(sock, lines, kept):
    greet(Dripping(sock), lines)
    plain_dialogue(Dripping(sock), lines, kept)


def closing_when_idle(sock, lines, kept):
    sock.settimeout(2)
    greet(sock, lines)
    plain_dialogue(sock, lines, kept)


def breaking_on_pipelining(breaks):
    talk, kept = broken_by(breaks)
    return talk, kept, SHORT if "forgets" in breaks.__name__ else 60.0


def well_below(talk):
    kept = []
    return (lambda sock, lines, _: talk(sock, lines, kept)), kept, 60.0


BELOW = {
    "answers in fragments": lambda: well_below(in_fragments),
    **{breaks.__name__.replace("_", " "): (lambda breaks=breaks: breaking_on_pipelining(breaks)) for breaks in BREAKS},
}


@pytest.mark.parametrize("misbehaving", BELOW.values(), ids=BELOW)
def test_p3_answers_that_do_not_fit_cost_no_attempt_and_double_nothing(relay, misbehaving):
    """Fewer or more replies than commands, or a server that offers PIPELINING and breaks on it: a plain dialogue follows."""
    talk, kept, timeout = misbehaving()
    with raw(talk) as server:
        batch()
        relay = relay(smtp(server, timeout=timeout))
        drain(engine=relay)
        relay.close()
    assert set(Message.objects.values_list("status", "retry_count")) == {(SENT, 0)}
    assert sorted(kept) == sorted(b"Subject: %s\r\n\r\n\r\n" % name for name in (b"before", b"odd", b"after"))


def test_p1_content_taken_at_a_crawl_defers_that_message_alone(relay):
    """The server reads one byte at a time of a large message, in its first session; the others have time enough."""
    kept, over = [], threading.Event()

    def talk(sock, lines, _):
        greet(sock, lines)
        for line in lines:
            if line.startswith(b"MAIL FROM:<odd"):
                crawl(sock, lines)
            elif line.startswith(b"DATA"):
                sock.sendall(b"354 go\r\n")
                kept.append(b"".join(iter(lambda: next(lines), b".\r\n")))
            sock.sendall(b"250 ok\r\n")

    def crawl(sock, lines):
        # or the kernel itself would take megabytes in the server's place
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b"250 ok\r\n")
        next(lines)
        sock.sendall(b"250 ok\r\n")
        next(lines)
        sock.sendall(b"354 go\r\n")
        while not over.wait(0.05):
            sock.recv(1)
        raise socket.timeout

    with raw(talk) as server:
        batch(content=(b"x" * 998 + b"\r\n") * 7_000)
        relay = relay(smtp(server, timeout=SHORT))
        drain(engine=relay)
        over.set()
        relay.close()
    assert (message("odd").status, fates(message("odd")), message("odd").retry_count) == (DEFERRED, owed(), 1)
    assert {message("before").status, message("after").status} == {SENT}
    assert [content.split(b"\r\n")[0] for content in kept] == [b"Subject: before", b"Subject: after"]


def test_p6_a_server_that_closes_idle_sessions_after_two_seconds(relay):
    """The relay keeps its session for longer than that; what comes later goes out by a new one."""
    kept, closed = [], threading.Event()

    def talk(sock, lines, _):
        try:
            closing_when_idle(sock, lines, kept)
        finally:
            closed.set()

    with raw(talk) as server:
        relay = relay(smtp(server))
        queued()
        drain(engine=relay)
        assert closed.wait(60)
        batch()
        assert drain(engine=relay).sent == 3
        relay.close()
    assert len(kept) == 4
    assert server.sessions == 2
    assert set(Message.objects.values_list("status", "retry_count")) == {(SENT, 0)}
