"""The SMTP server of the tests itself, by another party's client: smtplib."""

from __future__ import annotations

import smtplib
import ssl

import pytest

from tests.support.processes import Process
from tests.support.smtpserver import Close, Script, SmtpServer
from tests.support.spool import Spool
from tests.support.waiting import wait_until

CONTENT = b"Subject: dots\r\n\r\n.one\r\n..two\r\n.\r\nend\r\n"


def send(server, content=CONTENT, to=("you@example.com",), **options):
    with smtplib.SMTP(server.host, server.port, timeout=30) as client:
        return client.sendmail("me@example.com", list(to), content, **options)


def test_keeps_the_bytes_as_they_were_sent(smtp_server):
    send(smtp_server, to=("a@example.com", "b@example.com"))
    [message] = smtp_server.wait_for(1)
    assert message.content == CONTENT
    assert message.mail_from == "me@example.com"
    assert message.rcpt_to == ("a@example.com", "b@example.com")
    assert smtp_server.verbs() == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]


def test_answers_a_pipelined_group_in_order(smtp_server):
    with smtplib.SMTP(smtp_server.host, smtp_server.port, timeout=30) as client:
        client.ehlo()
        client.sock.sendall(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
        replies = [client.getreply()[0] for _ in range(3)]
        client.sock.sendall(b".\r\n")
        assert [*replies, client.getreply()[0]] == [250, 250, 354, 250]
    assert smtp_server.received[0].content == b""


def test_a_script_refuses_one_recipient():
    script = Script(on_rcpt=lambda address: "550 5.1.1 who?" if address.startswith("nobody") else None)
    with SmtpServer(script) as server:
        refused = send(server, to=("nobody@example.com", "you@example.com"))
        assert refused == {"nobody@example.com": (550, b"5.1.1 who?")}
        assert server.received[0].rcpt_to == ("you@example.com",)


def test_a_script_takes_the_message_and_cuts_the_link():
    with SmtpServer(Script(on_message=lambda message: Close(keep=True))) as server:
        with pytest.raises(smtplib.SMTPServerDisconnected):
            send(server)
        assert len(server.received) == 1


def test_a_script_refuses_a_message():
    with SmtpServer(Script(on_message=lambda message: "451 4.3.0 later")) as server:
        with pytest.raises(smtplib.SMTPDataError):
            send(server)
        assert server.received == []


def test_limits_messages_in_a_session():
    with SmtpServer(max_messages=1) as server, smtplib.SMTP(server.host, server.port, timeout=30) as client:
        client.sendmail("a@b", ["c@d"], CONTENT)
        with pytest.raises(smtplib.SMTPResponseException) as caught:
            client.sendmail("a@b", ["c@d"], CONTENT)
        assert caught.value.smtp_code == 421


def test_an_outage_refuses_and_ends(smtp_server):
    smtp_server.pause()
    with pytest.raises(ConnectionRefusedError):
        send(smtp_server)
    smtp_server.resume()
    send(smtp_server)
    assert smtp_server.count == 1


def test_starttls_and_auth(authority):
    context = ssl.create_default_context(cafile=str(authority.ca))
    options = {"tls": authority.server_context("localhost", "127.0.0.1"), "credentials": {"me": "secret"}}
    with SmtpServer(**options, require_tls=True) as server:
        with smtplib.SMTP(server.host, server.port, timeout=30) as client:
            client.starttls(context=context)
            client.login("me", "secret")
            client.sendmail("a@b", ["c@d"], CONTENT)
        [message] = server.wait_for(1)
        assert (message.tls, message.user) == (True, "me")
        assert "secret" not in str(server.commands)


def test_implicit_tls_with_an_expired_certificate(authority):
    context = ssl.create_default_context(cafile=str(authority.ca))
    expired = authority.server_context("127.0.0.1", expired=True)
    with SmtpServer(tls=expired, implicit_tls=True) as server, pytest.raises(ssl.SSLCertVerificationError):
        smtplib.SMTP_SSL(server.host, server.port, timeout=30, context=context)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_in_a_script_is_kept():
    with SmtpServer(Script(on_mail=lambda address: 1 / 0)) as server:
        with pytest.raises(smtplib.SMTPServerDisconnected):
            send(server)
        wait_until(lambda: server.errors)
        assert isinstance(server.errors[0], ZeroDivisionError)


def test_spools_as_a_process(tmp_path):
    spool = Spool(tmp_path / "spool")
    command = ("-m", "tests.support.smtpserver", "--port", 0, "--spool", spool.directory)
    with Process.python(*command, log=tmp_path / "log") as process:
        port = int(process.wait_ready("port ").split()[1])
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
            client.sendmail("a@b", ["c@d"], CONTENT)
        assert process.terminate() == 0
    [message] = spool.read()
    assert (message.content, message.rcpt_to) == (CONTENT, ("c@d",))
