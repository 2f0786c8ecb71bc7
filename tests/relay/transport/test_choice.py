"""Which way out is taken, and through what configuration."""

from __future__ import annotations

import smtplib

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend as DjangoSmtp

from email_relay.backend import RelayDatabaseEmailBackend
from email_relay.compat import HAS_MAILERS
from email_relay.exceptions import ConfigurationError, ServerUnavailable, SessionEnded
from email_relay.relay.transport.base import NO_REPLY, Reply
from email_relay.relay.transport.choice import transport
from email_relay.relay.transport.config import smtp_config
from email_relay.relay.transport.django import DjangoTransport
from email_relay.relay.transport.memory import MemoryTransport
from email_relay.relay.transport.smtp import SmtpTransport
from tests.relay.transport.sending import deliver, parcel

QUEUE = "email_relay.backend.RelayDatabaseEmailBackend"
HERE = "tests.relay.transport.test_choice."
LOCMEM = "django.core.mail.backends.locmem.EmailBackend"


class Subclassed(DjangoSmtp):
    """A project's own backend: its changes must not be lost."""


class Queueing(RelayDatabaseEmailBackend):
    """A queueing backend by another name."""


class Failing(BaseEmailBackend):
    error: Exception | None = None

    def send_messages(self, messages):
        if self.error is not None:
            raise self.error
        return 0


@pytest.fixture
def relay(settings):
    def configure(**given):
        settings.DJANGO_EMAIL_RELAY = given

    return configure


def test_djangos_smtp_backend_is_our_own_smtp(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "mail.example.com", 2525, 7
    way = transport()
    assert isinstance(way, SmtpTransport)
    assert (way.server, way.config.data_timeout) == ("mail.example.com:2525", 7)


def test_a_client_that_relays_too_goes_by_smtp(settings):
    settings.EMAIL_BACKEND = QUEUE
    assert isinstance(transport(), SmtpTransport)


@pytest.mark.parametrize("path", [LOCMEM, HERE + "Subclassed"])
def test_other_backends_go_through_django(settings, path):
    settings.EMAIL_BACKEND = path
    assert isinstance(transport(), DjangoTransport)


def test_relay_email_backend_comes_first(settings, relay):
    settings.EMAIL_BACKEND = QUEUE
    relay(RELAY_EMAIL_BACKEND=LOCMEM)
    assert transport().server == LOCMEM


@pytest.mark.parametrize("path", [QUEUE, HERE + "Queueing", "nowhere.Backend", HERE + "QUEUE"])
def test_p12_a_way_out_that_leads_nowhere_or_back(relay, path):
    relay(RELAY_EMAIL_BACKEND=path)
    with pytest.raises(ConfigurationError):
        transport()


def test_p12_a_mailer_that_is_not_there(relay):
    relay(RELAY_MAILER="nobody")
    with pytest.raises(ConfigurationError):
        transport()


@pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS came with Django 6.1")
def test_a_mailer_and_its_options(settings, relay):
    for name in [name for name in dir(django_settings) if name.startswith("EMAIL_") and settings.is_overridden(name)]:
        delattr(settings, name)
    smtp = {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": {"host": "mx", "use_tls": True}}
    settings.MAILERS = {"default": {"BACKEND": QUEUE}, "out": smtp}
    relay(RELAY_MAILER="out")
    way = transport()
    assert isinstance(way, SmtpTransport)
    assert (way.server, way.config.use_tls) == ("mx:25", True)


def test_options_of_a_mailer():
    config = smtp_config({"host": "mx", "port": 587, "username": "u", "password": "p", "use_tls": True})
    assert (config.server, config.username, config.password, config.use_tls) == ("mx:587", "u", "p", True)
    with pytest.raises(ConfigurationError, match="colour"):
        smtp_config({"colour": "red"})


def test_the_relays_own_settings_reach_the_configuration(relay):
    relay(SMTP_PIPELINING=False, SMTP_LOCAL_HOSTNAME="out.example", SMTP_TLS_MINIMUM_VERSION="1.3")
    config = smtp_config()
    assert (config.pipelining, config.local_hostname, config.tls_minimum_version) == (False, "out.example", "1.3")


def test_p3_a_django_backend_gets_exactly_the_recipients_still_owed():
    content = b"Subject: hi\r\nFrom: a@x.example\r\nTo: a@x.example, b@x.example\r\n\r\nHello.\r\n"
    session = DjangoTransport(LOCMEM, {}).connect()
    batch = deliver(session, parcel(1, "b@x.example", "hidden@x.example", content=content))
    session.close()
    assert batch.codes(1) == [250, 250]
    assert mail.outbox[0].subject == "hi"
    assert sorted(mail.outbox[0].recipients()) == ["b@x.example", "hidden@x.example"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (smtplib.SMTPDataError(554, b"5.7.1 spam"), 554),
        (smtplib.SMTPSenderRefused(451, b"later", "a@x.example"), 451),
        (ConnectionResetError("secret"), NO_REPLY),
        (RuntimeError("secret body"), NO_REPLY),
        (None, 451),
    ],
)
def test_p13_what_a_backend_raises_decides_and_is_not_quoted(monkeypatch, error, code):
    monkeypatch.setattr(Failing, "error", error)
    batch = deliver(DjangoTransport(HERE + "Failing", {}).connect(), parcel(1))
    assert batch.codes(1) == [code]
    assert "secret" not in batch.deliveries[1].final.text


def test_the_fake_tells_the_same_stories():
    fake = MemoryTransport(lambda one, to: Reply(550, "no") if to.startswith("no") else None, session_limit=2)
    batch = deliver(fake.connect(), parcel(1, "no@x.example", "yes@x.example"), parcel(2), parcel(3))
    assert (batch.codes(1), batch.codes(2), batch.untouched) == ([550, 250], [250], [3])
    assert isinstance(batch.ended, SessionEnded)
    assert fake.accepted() == ["yes@x.example", "to2@example.com"]
    fake.down = "gone"
    with pytest.raises(ServerUnavailable):
        fake.connect()
