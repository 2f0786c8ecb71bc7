"""STARTTLS, implicit TLS, logins: the good, and what must not be trusted."""

from __future__ import annotations

import ssl

import pytest

from email_relay.exceptions import ConfigurationError, ServerUnavailable
from email_relay.relay.transport.config import SmtpConfig
from email_relay.relay.transport.opening import Opening
from email_relay.relay.transport.tls import tls_context
from tests.relay.transport.sending import deliver, parcel, smtp
from tests.support.smtpserver import Script, SmtpServer
from tests.support.tls import Authority

SECRET = "pa55-w0rd"


@pytest.mark.parametrize("implicit", [False, True])
def test_tls_verified_by_a_given_authority(authority, implicit):
    how = {"use_ssl": True} if implicit else {"use_tls": True}
    with SmtpServer(tls=authority.server_context(), implicit_tls=implicit) as server:
        session = smtp(server, tls_ca_file=str(authority.ca), **how).connect()
        assert deliver(session, parcel(1), parcel(2)).codes(2) == [250]
        assert deliver(session, parcel(3)).codes(3) == [250]
        session.close()
    assert all(one.tls for one in server.received)
    assert server.session_count == 1


@pytest.mark.parametrize("implicit", [False, True])
def test_p6_a_certificate_nobody_vouches_for_is_refused(authority, implicit):
    how = {"use_ssl": True} if implicit else {"use_tls": True}
    with SmtpServer(tls=authority.server_context(), implicit_tls=implicit) as server:
        with pytest.raises(ServerUnavailable, match="certificate"):
            smtp(server, **how).connect()
        assert deliver(smtp(server, tls_verify=False, **how).connect(), parcel()).codes() == [250]


def test_p6_the_certificate_of_another_authority_is_refused(authority, tmp_path):
    with SmtpServer(tls=authority.server_context()) as server, pytest.raises(ServerUnavailable, match="certificate"):
        smtp(server, use_tls=True, tls_ca_file=str(Authority(tmp_path).ca)).connect()


def test_p6_a_server_with_an_older_tls_than_the_minimum_gets_nothing(authority):
    context = authority.server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with SmtpServer(tls=context) as server:
        trust = {"use_tls": True, "tls_ca_file": str(authority.ca)}
        with pytest.raises(ServerUnavailable):
            smtp(server, tls_minimum_version="1.3", **trust).connect()
        assert "MAIL" not in server.verbs()
        assert deliver(smtp(server, **trust).connect(), parcel()).codes() == [250]
    assert tls_context(SmtpConfig()).minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("names", [{"names": ("mail.other.example",)}, {"names": ("127.0.0.1",), "expired": True}])
def test_p6_a_wrong_name_or_an_expired_certificate_is_refused(authority, names):
    context = authority.server_context(*names.pop("names"), **names)
    with SmtpServer(tls=context) as server, pytest.raises(ServerUnavailable, match="certificate"):
        smtp(server, use_tls=True, tls_ca_file=str(authority.ca)).connect()


def test_p6_starttls_not_offered_or_refused_never_falls_back_to_plaintext(authority):
    with SmtpServer() as server, pytest.raises(ServerUnavailable, match="STARTTLS"):
        smtp(server, use_tls=True).connect()
    script = Script(on_starttls=lambda: "454 4.7.0 not now")
    with SmtpServer(tls=authority.server_context(), script=script) as server:
        with pytest.raises(ServerUnavailable) as caught:
            smtp(server, use_tls=True).connect()
        assert caught.value.code == 454
        assert "MAIL" not in server.verbs()


def test_opportunistic_tls_where_offered_only(authority):
    with SmtpServer(tls=authority.server_context()) as server:
        deliver(smtp(server, tls_opportunistic=True).connect(), parcel())
    assert server.received[0].tls
    with SmtpServer() as server:
        deliver(smtp(server, tls_opportunistic=True).connect(), parcel())
    assert not server.received[0].tls


def test_p6_opportunistic_beside_starttls_asked_for_stays_verified(authority):
    with SmtpServer(tls=authority.server_context()) as server, pytest.raises(ServerUnavailable, match="certificate"):
        smtp(server, use_tls=True, tls_opportunistic=True).connect()


def test_p13_the_password_is_not_sent_over_tls_that_nobody_verified_to_another_machine(authority, monkeypatch):
    """Opportunistic TLS is no protection from whoever sits in between."""
    monkeypatch.setattr(Opening, "_local", lambda _: False)
    with SmtpServer(tls=authority.server_context(), credentials={"relay": SECRET}) as server:
        with pytest.raises(ServerUnavailable, match="SMTP_ALLOW_PLAINTEXT_LOGIN"):
            smtp(server, tls_opportunistic=True, username="relay", password=SECRET).connect()
        assert "AUTH" not in server.verbs()


def test_login():
    with SmtpServer(credentials={"relay": SECRET}) as server:
        assert deliver(smtp(server, username="relay", password=SECRET).connect(), parcel()).codes() == [250]
    assert server.received[0].user == "relay"


@pytest.mark.parametrize("answer", [None, "535 5.7.8 no", "454 4.7.0 later"])
def test_p6_p13_a_refused_login_is_the_servers_trouble_and_tells_no_secret(answer):
    script = Script(on_auth=lambda _: answer)
    with SmtpServer(credentials={"relay": "other"}, script=script) as server, pytest.raises(
        ServerUnavailable
    ) as caught:
        smtp(server, username="relay", password=SECRET).connect()
    assert SECRET not in str(caught.value)
    assert caught.value.code in {535, 454}


def test_p13_the_password_is_not_sent_in_plaintext_to_another_machine(monkeypatch):
    monkeypatch.setattr(Opening, "_local", lambda _: False)
    with SmtpServer(credentials={"relay": SECRET}) as server:
        with pytest.raises(ServerUnavailable, match="SMTP_ALLOW_PLAINTEXT_LOGIN"):
            smtp(server, username="relay", password=SECRET).connect()
        assert "AUTH" not in server.verbs()
        smtp(server, username="relay", password=SECRET, allow_plaintext_login=True).connect().close()


def test_p13_a_password_that_cannot_be_sent_is_not_shown():
    with SmtpServer(credentials={"relay": "x"}) as server, pytest.raises(ServerUnavailable) as caught:
        smtp(server, username="relay", password="geheim-ü").connect()
    assert "geheim" not in str(caught.value)


def test_p13_repr_keeps_the_secret():
    assert SECRET not in repr(SmtpConfig(username="u", password=SECRET))


@pytest.mark.parametrize(
    "wrong",
    [
        {"use_tls": True, "use_ssl": True},
        {"port": 0},
        {"port": "25"},
        {"timeout": 0},
        {"host": "a b"},
        {"host": ""},
        {"local_hostname": "x\r\nRSET"},
        {"ssl_keyfile": "k"},
        {"tls_minimum_version": "1.0"},
    ],
)
def test_p12_configurations_that_cannot_work(wrong):
    with pytest.raises(ConfigurationError):
        SmtpConfig(**wrong)


def test_p12_certificate_files_that_are_not_there():
    with SmtpServer() as server, pytest.raises(ConfigurationError):
        smtp(server, use_tls=True, tls_ca_file="/nowhere/ca.pem").connect()
