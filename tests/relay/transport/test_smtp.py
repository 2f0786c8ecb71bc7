"""Our SMTP against a real server on a socket: what arrives, and in how many words."""

from __future__ import annotations

import pytest

from email_relay.exceptions import ServerUnavailable, SessionEnded
from tests.relay.transport.sending import CONTENT, deliver, deliver_all, parcel, smtp, still
from tests.support.smtpserver import Close, Script, SmtpServer
from tests.support.waiting import wait_until

PLAIN = ("8BITMIME", "SMTPUTF8")


@pytest.fixture(params=["pipelining", "plain"])
def server(request):
    extensions = SmtpServer.extensions if request.param == "pipelining" else PLAIN
    with SmtpServer(extensions=extensions) as server:
        yield server
    assert not server.errors


def test_p4_the_bytes_arrive_as_they_are(server):
    contents = [
        CONTENT,
        b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n",
        b".starts with a dot\r\n",
        b"A: b\r\n\r\n" + b"x" * 300_000 + b"\r\n.\r\n",
        b"A: b\r\n\r\n\xc3\xa9\r\n",
        b"\r\n",
    ]
    batch = deliver(smtp(server).connect(), *(parcel(i, content=one) for i, one in enumerate(contents)))
    assert [delivery.final.code for delivery in batch.deliveries.values()] == [250] * len(contents)
    assert [one.content for one in server.received] == contents


def test_content_without_final_line_end_gets_one(server):
    deliver(smtp(server).connect(), parcel(content=b"A: b\r\n\r\nx"), parcel(2))
    assert [one.content for one in server.received] == [b"A: b\r\n\r\nx\r\n", CONTENT]


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r.\r\n"])
def test_bare_line_ends_smuggle_nothing(server, end):
    evil = b"A: b\r\n\r\nx" + end + b"MAIL FROM:<evil@example.com>\r\n"
    deliver(smtp(server).connect(), parcel(content=evil), parcel(2))
    assert len(server.received) == 2
    content = server.received[0].content
    assert content.count(b"\n") == content.count(b"\r") == content.count(b"\r\n")


def test_many_messages_in_one_session_in_order(server):
    batch = deliver(smtp(server).connect(), *(parcel(i) for i in range(300)))
    assert list(batch.deliveries) == list(range(300))
    assert batch.ended is None
    assert [one.rcpt_to for one in server.received] == [(f"to{i}@example.com",) for i in range(300)]
    assert server.session_count == 1


def test_many_recipients(server):
    everyone = tuple(f"r{i}@example.com" for i in range(333))
    batch = deliver(smtp(server).connect(), parcel(1), parcel(2, *everyone), parcel(3, *everyone))
    assert batch.codes(3) == [250] * 333
    assert [one.rcpt_to for one in server.received] == [("to1@example.com",), everyone, everyone]


def test_the_servers_words_and_id_come_back(server):
    final = deliver(smtp(server).connect(), parcel()).deliveries[1].final
    assert (final.code, final.enhanced, final.text) == (250, "2.0.0", "Ok: queued as Q0000001")


def test_size_and_8bitmime_are_said_when_offered_and_needed():
    with SmtpServer(max_size=10_000_000) as server:
        deliver(smtp(server).connect(), parcel(1), parcel(2, content=b"A: b\r\n\r\n\xe9\r\n"))
    assert [one.options for one in server.received] == [("SIZE=26",), ("SIZE=11", "BODY=8BITMIME")]


def test_p4_8bit_mail_goes_out_as_it_is_where_the_server_does_not_offer_8bitmime():
    """As Django sends it: an umlaut in a body is 8-bit, and must not cost the mail."""
    with SmtpServer(extensions=("PIPELINING",)) as server:
        batch = deliver(smtp(server).connect(), parcel(1, content=b"A: b\r\n\r\n\xe9\r\n"))
    assert batch.codes(1) == [250]
    assert [(one.content, one.options) for one in server.received] == [(b"A: b\r\n\r\n\xe9\r\n", ())]


def test_domains_go_idna_and_local_parts_smtputf8(server):
    batch = deliver(smtp(server).connect(), parcel(1, "jo@bücher.example"), parcel(2, "jürgen@bücher.example"))
    assert batch.codes(1) == batch.codes(2) == [250]
    first, second = server.received
    assert (first.rcpt_to, first.options) == (("jo@xn--bcher-kva.example",), ())
    assert (second.rcpt_to, second.options) == (("jürgen@xn--bcher-kva.example",), ("SMTPUTF8",))


def test_p3_a_local_part_the_server_cannot_take_is_refused_alone():
    with SmtpServer(extensions=("PIPELINING", "8BITMIME")) as server:
        batch = deliver(smtp(server).connect(), parcel(1, "jürgen@example.com", "jo@example.com"), parcel(2))
    assert batch.deliveries[1].replies["jürgen@example.com"].enhanced == "5.6.7"
    assert batch.codes(1) == [553, 250]
    assert batch.codes(2) == [250]


EVIL = [
    "a@b.c>\r\nDATA",
    "a@b.c\nRSET",
    "a\0@b.c",
    "a b@c.d",
    "<a@b.c>",
    "a@b.c> SIZE=1",
    "a@b\r",
    "a@b\u2028c",
    "x" * 600,
]


@pytest.mark.parametrize("address", EVIL)
def test_p3_no_address_becomes_a_command(server, address):
    batch = deliver(
        smtp(server).connect(),
        parcel(1, address, "good@example.com"),
        parcel(2, sender=address),
        parcel(3),
    )
    assert batch.deliveries[1].replies[address].enhanced == "5.1.3"
    assert batch.deliveries[1].replies["good@example.com"].accepted
    assert batch.deliveries[2].final.enhanced == "5.1.7"
    assert batch.codes(3) == [250]
    assert [one.rcpt_to for one in server.received] == [("good@example.com",), ("to3@example.com",)]


def test_the_empty_sender_is_the_null_path(server):
    assert deliver(smtp(server).connect(), parcel(sender="")).codes() == [250]
    assert server.received[0].mail_from == ""


def test_pipelining_sends_the_next_envelope_behind_the_dot():
    with SmtpServer() as server:
        taken = []
        transport = smtp(server)

        def source():
            for key in (1, 2):
                taken.append((key, server.count))
                yield parcel(key)

        session = transport.connect()
        results = [delivery.parcel.key for delivery in session.deliver(source())]
    assert results == [1, 2]
    assert taken == [(1, 0), (2, 0)]


def test_close_says_quit(server):
    session = smtp(server).connect()
    deliver(session, parcel())
    session.close()
    session.close()
    assert server.verbs()[-1] == "QUIT"


def test_a_session_is_used_again(server):
    session = smtp(server).connect()
    assert deliver(session, parcel(1)).codes(1) == [250]
    assert deliver(session, parcel(2)).codes(2) == [250]
    assert server.session_count == 1


def test_own_limit_of_messages_ends_the_session(server):
    assert deliver_all(smtp(server, session_max_messages=2), *(parcel(i) for i in range(5))) == {
        i: [250] for i in range(5)
    }
    assert server.session_count == 3


def test_own_limit_of_age_ends_the_session(server):
    times = iter(range(0, 100_000, 200))
    transport = smtp(server, clock=lambda: float(next(times)), session_max_seconds=300)
    assert deliver_all(transport, *(parcel(i) for i in range(4))) == {i: [250] for i in range(4)}
    assert server.session_count > 1


def test_p1_deliver_left_early_drops_the_link_and_delivers_no_more(server):
    session = smtp(server).connect()
    results = session.deliver(parcel(i) for i in range(1, 9))
    next(results)
    results.close()
    if "PIPELINING" in server.extensions:
        wait_until(lambda: server.open_sessions == 0, 60, "the end of the link")
    session.close()
    assert server.wait_for(1)[0].rcpt_to == ("to1@example.com",)
    fresh = smtp(server).connect()
    assert deliver(fresh, parcel(99)).codes(99) == [250]
    assert [one.rcpt_to[0] for one in server.received] == ["to1@example.com", "to99@example.com"]


def test_p6_nothing_listens():
    server = SmtpServer()
    server.reserve()
    try:
        with pytest.raises(ServerUnavailable):
            smtp(server).connect()
    finally:
        server.listener.close()


@pytest.mark.parametrize("answer", ["554 5.3.2 no", "421 4.3.2 later"])
def test_p6_a_greeting_that_refuses_is_the_servers_trouble(answer):
    with SmtpServer(script=Script(on_connect=lambda: answer)) as server, pytest.raises(ServerUnavailable) as caught:
        smtp(server).connect()
    assert caught.value.code == int(answer[:3])


def test_p6_ehlo_answered_with_421_is_the_servers_trouble():
    script = Script(on_ehlo=lambda: Close("421 4.3.2 later"))
    with SmtpServer(script=script) as server, pytest.raises(ServerUnavailable):
        smtp(server).connect()


def test_idle_session_dropped_by_the_server_ends_before_anything_is_taken(server):
    session = smtp(server).connect()
    assert deliver(session, parcel(1)).codes() == [250]
    for connection in list(server.live.values()):
        connection.abort()
        connection.thread.join(60)
    batch = deliver(session, parcel(2))
    assert isinstance(batch.ended, SessionEnded)
    assert batch.deliveries == {}
    assert deliver(smtp(server).connect(), parcel(2)).codes(2) == [250]


def test_a_fresh_session_that_breaks_tells_of_a_server_in_trouble(server):
    session = smtp(server, clock=still).connect()
    for connection in list(server.live.values()):
        connection.abort()
        connection.thread.join(60)
    assert isinstance(deliver(session, parcel()).ended, ServerUnavailable)
