"""Servers that misbehave by script: the fate of every recipient, and of the next message in the batch (P1–P6)."""

from __future__ import annotations

import socket
import threading

import pytest

from email_relay.exceptions import ServerUnavailable, SessionEnded
from email_relay.relay.transport.base import NO_REPLY
from tests.relay.transport.sending import deliver, deliver_all, parcel, smtp, still
from tests.support.rawsmtp import BREAKS, Dripping, broken_by, greet, plain_dialogue, raw
from tests.support.smtpserver import Close, Script, SmtpServer

PLAIN = ("8BITMIME", "SMTPUTF8")
SHORT = 4.0
"""Seconds of time-out where the test waits for one."""


def once(answer, after=0):
    """A callback that gives ``answer`` at its call number ``after``, and the usual one otherwise."""
    calls = iter(range(1_000_000))
    return lambda *_: answer if next(calls) == after else None


@pytest.fixture(params=["pipelining", "plain"])
def served(request):
    """Starts a server with a script."""
    servers = []

    def start(**callbacks):
        options = {key: callbacks.pop(key) for key in ("max_messages", "max_size") if key in callbacks}
        extensions = SmtpServer.extensions if request.param == "pipelining" else PLAIN
        servers.append(SmtpServer(script=Script(**callbacks), extensions=extensions, **options).start())
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
        assert not server.errors


# 421 at each command


def test_p6_421_to_the_first_mail_is_the_servers_trouble(served):
    server = served(on_mail=lambda _: Close("421 4.3.2 down"))
    batch = deliver(smtp(server, clock=still).connect(), parcel(1), parcel(2))
    assert isinstance(batch.ended, ServerUnavailable)
    assert (batch.deliveries, batch.ended.code) == ({}, 421)
    assert batch.untouched[0] == 1


def test_p2_421_to_a_later_mail_ends_the_session_only(served):
    server = served(on_mail=once(Close("421 4.7.0 enough"), after=1))
    batch = deliver(smtp(server).connect(), parcel(1), parcel(2))
    assert isinstance(batch.ended, SessionEnded)
    assert (batch.codes(1), batch.untouched) == ([250], [2])


@pytest.mark.parametrize("event", ["on_rcpt", "on_data", "on_message"])
def test_p3_421_within_a_transaction_defers_that_message_alone(served, event):
    server = served(**{event: once(Close("421 4.3.2 going down"), after=1)})
    assert deliver_all(smtp(server), *(parcel(i) for i in range(1, 5))) == {1: [250], 2: [421], 3: [250], 4: [250]}
    assert server.count == 3


def test_p3_421_to_one_recipient_keeps_what_the_others_were_told(served):
    answers = iter(["550 5.1.1 who?", None, Close("421 4.3.2 going down")])
    server = served(on_rcpt=lambda _: next(answers))
    batch = deliver(smtp(server).connect(), parcel(1, "a@x.example", "b@x.example", "c@x.example", "d@x.example"))
    assert batch.codes(1) == [550, 421, 421, 421]
    assert isinstance(batch.ended, SessionEnded)
    assert server.count == 0


# lost links


def test_p6_the_link_lost_at_the_first_mail(served):
    server = served(on_mail=lambda _: Close())
    batch = deliver(smtp(server, clock=still).connect(), parcel(1), parcel(2))
    assert isinstance(batch.ended, ServerUnavailable)
    assert batch.deliveries == {}


@pytest.mark.parametrize("how", [Close(), Close(reset=True)])
def test_p2_the_link_lost_at_a_later_mail(served, how):
    server = served(on_mail=once(how, after=1))
    assert deliver_all(smtp(server), parcel(1), parcel(2), parcel(3)) == {1: [250], 2: [250], 3: [250]}
    assert [one.rcpt_to[0] for one in server.received] == ["to1@example.com", "to2@example.com", "to3@example.com"]


@pytest.mark.parametrize("event", ["on_rcpt", "on_data"])
def test_p3_the_link_lost_in_the_envelope_every_time_defers_in_the_end(served, event):
    answer = (lambda to: Close() if to == "to2@example.com" else None) if event == "on_rcpt" else None
    server = served(**{event: answer or once(Close(), after=1)})
    codes = deliver_all(smtp(server), parcel(1), parcel(2), parcel(3))
    assert (codes[1], codes[3]) == ([250], [250])
    assert codes[2] in ([NO_REPLY], [250])
    assert [one.rcpt_to[0] for one in server.received if codes[2] == [NO_REPLY]].count("to2@example.com") == 0


@pytest.mark.parametrize("keep", [True, False])
def test_p2_the_link_lost_at_the_final_reply_defers_that_one_and_leaves_the_next_untouched(served, keep):
    server = served(on_message=once(Close(keep=keep), after=1))
    batch = deliver(smtp(server).connect(), *(parcel(i) for i in range(1, 4)))
    assert (batch.codes(1), batch.codes(2)) == ([250], [NO_REPLY])
    assert 3 not in batch.deliveries
    assert isinstance(batch.ended, SessionEnded)
    assert batch.untouched == ([3] if "PIPELINING" in server.extensions else [])
    assert server.count == 1 + keep


def test_p2_the_link_lost_after_the_final_reply_keeps_it(served):
    server = served(on_message=once(Close("250 2.0.0 Ok", keep=True), after=0))
    assert deliver_all(smtp(server), parcel(1), parcel(2)) == {1: [250], 2: [250]}
    assert server.count == 2


# refusals


def test_p3_one_of_a_hundred_recipients_is_refused(served):
    server = served(on_rcpt=lambda to: "550 5.1.1 who?" if to == "r42@example.com" else None)
    everyone = [f"r{i}@example.com" for i in range(100)]
    batch = deliver(smtp(server).connect(), parcel(1, *everyone), parcel(2))
    assert [to for to, reply in batch.deliveries[1].replies.items() if not reply.accepted] == ["r42@example.com"]
    assert batch.deliveries[1].replies["r42@example.com"].text == "who?"
    assert batch.codes(2) == [250]
    assert len(server.received[0].rcpt_to) == 99


def test_p3_4xx_for_one_and_5xx_for_another(served):
    said = {"a@x.example": "450 4.2.1 later", "b@x.example": "550 5.1.1 who?"}
    server = served(on_rcpt=said.get)
    batch = deliver(smtp(server).connect(), parcel(1, "a@x.example", "b@x.example", "c@x.example"), parcel(2))
    assert (batch.codes(1), batch.codes(2)) == ([450, 550, 250], [250])


def test_p3_all_refused_and_the_next_is_unharmed(served):
    server = served(on_rcpt=lambda to: "550 5.1.1 who?" if to.startswith("no") else None)
    batch = deliver(smtp(server).connect(), parcel(1, "no1@x.example", "no2@x.example"), parcel(2), parcel(3))
    assert (batch.codes(1), batch.codes(2), batch.codes(3)) == ([550, 550], [250], [250])
    assert server.verbs().count("RSET") == 1
    assert server.count == 2


def test_p3_mail_refused_and_the_next_is_unharmed(served):
    server = served(on_mail=lambda sender: "550 5.7.1 not you" if sender.startswith("bad") else None)
    batch = deliver(smtp(server).connect(), parcel(1), parcel(2, sender="bad@x.example"), parcel(3))
    assert (batch.codes(1), batch.codes(2), batch.codes(3)) == ([250], [550], [250])


@pytest.mark.parametrize("event", ["on_data", "on_message"])
@pytest.mark.parametrize("code", [451, 554])
def test_p3_content_refused_and_the_next_is_unharmed(served, event, code):
    server = served(**{event: once(f"{code} 5.6.0 no", after=1)})
    batch = deliver(smtp(server).connect(), *(parcel(i) for i in range(1, 4)))
    assert [batch.codes(i) for i in (1, 2, 3)] == [[250], [code], [250]]
    assert batch.ended is None


def test_p3_552_on_size(served):
    server = served(max_size=1000)
    batch = deliver(smtp(server).connect(), parcel(1), parcel(2, content=b"x" * 2000 + b"\r\n"), parcel(3))
    assert [batch.codes(i) for i in (1, 2, 3)] == [[250], [552], [250]]


def test_p3_503_to_rcpt_after_250_to_mail_is_the_servers_word_once_it_stands_in_a_plain_dialogue(served):
    server = served(on_rcpt=lambda to: "503 5.5.1 MAIL first" if to == "to2@example.com" else None)
    assert deliver_all(smtp(server), parcel(1), parcel(2), parcel(3)) == {1: [250], 2: [503], 3: [250]}


def test_p6_530_to_mail_is_the_accounts_trouble(served):
    server = served(on_mail=lambda _: "530 5.7.0 authenticate first")
    batch = deliver(smtp(server).connect(), parcel(1))
    assert isinstance(batch.ended, ServerUnavailable)
    assert batch.untouched == [1]


def test_three_messages_per_session(served):
    server = served(max_messages=3)
    assert deliver_all(smtp(server), *(parcel(i) for i in range(10))) == {i: [250] for i in range(10)}
    assert [server.count, server.session_count] == [10, 4]


# words of odd shape


def test_long_and_many_lines(served):
    server = served(
        on_rcpt=lambda _: "250 " + "x" * 5000,
        on_message=lambda _: "\n".join(["250 2.0.0 " + "y" * 4900] * 10),
    )
    batch = deliver(smtp(server).connect(), parcel(1), parcel(2))
    assert (batch.codes(1), batch.codes(2)) == ([250], [250])
    assert len(batch.deliveries[1].final.text) == 500


def test_replies_in_fragments():
    kept = []

    def talk(sock, lines, _):
        dripping = Dripping(sock)
        greet(dripping, lines)
        plain_dialogue(dripping, lines, kept)

    with raw(talk) as server:
        batch = deliver(smtp(server).connect(), parcel(1), parcel(2))
    assert (batch.codes(1), batch.codes(2), len(kept)) == ([250], [250], 2)


@pytest.mark.parametrize("breaks", BREAKS)
def test_p3_a_server_that_breaks_on_pipelining_gets_a_plain_dialogue_and_each_message_once(breaks):
    talk, kept = broken_by(breaks)
    with raw(talk) as server:
        transport = smtp(server, timeout=SHORT if "forgets" in breaks.__name__ else 60.0)
        codes = deliver_all(transport, *(parcel(i, content=b"N: %d\r\n\r\n" % i) for i in range(1, 4)))
    assert codes == {1: [250], 2: [250], 3: [250]}
    assert kept == [b"N: 1\r\n\r\n", b"N: 2\r\n\r\n", b"N: 3\r\n\r\n"]
    assert server.sessions == 2


def test_p6_plaintext_behind_the_answer_to_starttls_is_an_attack_and_ends_it(authority):
    context = authority.server_context()

    def talk(sock, lines, _):
        greet(sock, lines, b"STARTTLS")
        assert next(lines) == b"STARTTLS\r\n"
        sock.sendall(b"220 go\r\n250 injected before TLS\r\n")
        with context.wrap_socket(sock, server_side=True) as secure:
            for _line in secure.makefile("rb"):
                secure.sendall(b"250 ok\r\n")

    with raw(talk) as server, pytest.raises(ServerUnavailable, match="plaintext behind its answer"):
        smtp(server, use_tls=True, tls_ca_file=str(authority.ca)).connect()


def test_p3_all_refused_and_yet_354_is_answered_with_an_empty_message():
    kept = []

    def talk(sock, lines, _):
        greet(sock, lines, b"PIPELINING")
        [next(lines) for _ in range(3)]
        sock.sendall(b"250 ok\r\n550 5.1.1 who?\r\n354 go\r\n")
        assert next(lines) == b".\r\n"
        sock.sendall(b"554 5.5.1 nobody\r\n")
        plain = iter([])
        for line in lines:
            if line.startswith(b"DATA"):
                sock.sendall(b"354 go\r\n")
                kept.append(b"".join(iter(lambda: next(lines), b".\r\n")))
            sock.sendall(b"250 ok\r\n")
        list(plain)

    with raw(talk) as server:
        batch = deliver(smtp(server).connect(), parcel(1), parcel(2))
    assert (batch.codes(1), batch.codes(2)) == ([550], [250])
    assert len(kept) == 1


@pytest.mark.parametrize("words", [b"what?\r\n", b"999 odd\r\n", b"\r\n", b"250" + b"x" * 70_000])
def test_p1_babble_in_the_final_reply_counts_as_a_lost_link(words):
    def talk(sock, lines, number):
        greet(sock, lines)
        for line in lines:
            if line.startswith(b"DATA"):
                sock.sendall(b"354 go\r\n")
                b"".join(iter(lambda: next(lines), b".\r\n"))
                sock.sendall(words)
                list(lines)
            sock.sendall(b"250 ok\r\n")

    with raw(talk) as server:
        batch = deliver(smtp(server).connect(), parcel(1), parcel(2))
    assert batch.codes(1) == [NO_REPLY]
    assert isinstance(batch.ended, SessionEnded)


def test_p1_a_server_that_hangs_in_mid_transaction():
    def talk(sock, lines, _):
        greet(sock, lines)
        for line in lines:
            if line.startswith(b"RCPT"):
                list(lines)
            sock.sendall(b"250 ok\r\n")

    with raw(talk) as server:
        batch = deliver(smtp(server, timeout=SHORT).connect(), parcel(1), parcel(2))
    assert batch.codes(1) == [NO_REPLY]
    assert "time-out" in batch.deliveries[1].final.text
    assert isinstance(batch.ended, SessionEnded)


def test_p6_a_server_that_never_greets():
    with raw(lambda _sock, lines, _: list(lines)) as server, pytest.raises(ServerUnavailable):
        smtp(server, timeout=SHORT).connect()


def test_p6_a_greeting_that_drips_has_a_total_time():
    stop = threading.Event()

    def talk(sock, _lines, _):
        while not stop.wait(0.05):
            sock.sendall(b"2")

    with raw(talk) as server:
        with pytest.raises(ServerUnavailable):
            smtp(server, timeout=SHORT).connect()
        stop.set()


def test_p1_content_taken_at_a_crawl_times_out():
    stop = threading.Event()

    def talk(sock, lines, _):
        greet(sock, lines)
        for line in lines:
            sock.sendall(b"354 go\r\n" if line.startswith(b"DATA") else b"250 ok\r\n")
            if line.startswith(b"DATA"):
                while not stop.wait(0.05):
                    sock.recv(1)

    with raw(talk) as server:
        big = parcel(1, content=(b"x" * 998 + b"\r\n") * 16_000)
        batch = deliver(smtp(server, timeout=SHORT).connect(), big, parcel(2))
        stop.set()
    assert batch.codes(1) == [NO_REPLY]
    assert 2 not in batch.deliveries


def test_p2_a_reply_before_the_link_broke_under_the_content_counts():
    def talk(sock, lines, _):
        greet(sock, lines)
        for line in lines:
            if line.startswith(b"DATA"):
                sock.sendall(b"354 go\r\n")
                sock.sendall(b"552 5.3.4 too big\r\n")
                sock.shutdown(socket.SHUT_WR)
                list(lines)
                return
            sock.sendall(b"250 ok\r\n")

    with raw(talk) as server:
        batch = deliver(smtp(server).connect(), parcel(1, content=(b"x" * 98 + b"\r\n") * 1000))
    assert batch.codes(1) in ([552], [NO_REPLY])
