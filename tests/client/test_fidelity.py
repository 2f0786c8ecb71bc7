"""Side by side: what Django's own SMTP backend sends, and what is queued for the relay to send.

The same message goes through both; the bytes and the envelope must be equal, but for what is random (boundaries,
Message-ID) or timed (Date).
"""

from __future__ import annotations

import re
import warnings
from typing import Any, Callable, Iterator

import pytest
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.smtp import EmailBackend
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from email_relay.addresses import to_envelope
from email_relay.compat import envelope_address
from email_relay.envelope import Prepared, prepare
from email_relay.exceptions import InvalidAddress
from email_relay.models import Message
from email_relay.payload import content_of
from tests.client.cases import CASES, ODD, message
from tests.support.smtpserver import SmtpServer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")


@pytest.fixture(scope="module")
def sink() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server
    assert not server.errors


Sent = Callable[[EmailMessage], "tuple[str, list[str], bytes]"]


@pytest.fixture(scope="module")
def sent_by_django(sink: SmtpServer) -> Iterator[Sent]:
    """What arrives at a server when Django's SMTP backend sends the message: sender, recipients, bytes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        backend = EmailBackend(host=sink.host, port=sink.port)
        backend.open()

    def send(email: EmailMessage) -> tuple[str, list[str], bytes]:
        sink.clear()
        assert backend.send_messages([email]) == 1
        [received] = sink.wait_for(1)
        return received.mail_from, list(dict.fromkeys(received.rcpt_to)), received.content

    yield send
    backend.close()


def normalized(content: bytes) -> bytes:
    """Without what is random or timed."""
    for number, boundary in enumerate(dict.fromkeys(re.findall(rb'boundary="([^"]+)"', content))):
        content = content.replace(boundary, b"boundary-%d" % number)
    content = re.sub(rb"(?im)^Message-ID:\s+<\d+\.\d+\.\d+@[^>]+>", b"Message-ID: <random>", content)
    content = re.sub(rb"(?m)^Date: (?!Tue, 01 Jan 2030)[^\r]+", b"Date: now", content)
    # a header is folded where its boundary of random length ends
    return re.sub(rb"\s+boundary=", b" boundary=", content)


def queued(prepared: Prepared | None) -> tuple[str, list[str], bytes]:
    assert prepared is not None
    return prepared.sender, list(prepared.recipients), prepared.content


def assert_same(email: EmailMessage, sent: Sent) -> None:
    django_sender, django_recipients, django_content = sent(email)
    sender, recipients, content = queued(prepare(email))
    assert (sender, recipients) == (django_sender, django_recipients)
    assert normalized(content) == normalized(django_content)


@pytest.mark.parametrize("name", CASES)
def test_p4_what_is_queued_is_what_django_sends(name: str, sent_by_django: Sent) -> None:
    assert_same(CASES[name](), sent_by_django)


@pytest.mark.parametrize("name", ODD)
def test_p4_what_django_refuses_is_refused_and_nothing_else(name: str, sent_by_django: Sent) -> None:
    email = ODD[name]()
    try:
        sent_by_django(email)
    except (TypeError, ValueError) as error:
        with pytest.raises((type(error), ValueError)):
            prepare(email)
    else:
        assert_same(email, sent_by_django)


@pytest.mark.django_db
@pytest.mark.parametrize("name", CASES)
def test_p4_what_is_queued_comes_out_of_the_database_unchanged(name: str) -> None:
    email = CASES[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        connection = get_connection()
    assert connection.send_messages([email]) == 1
    row = Message.objects.get()
    sender, recipients, content = content_of(row)
    expected = prepare(email)
    assert (sender, list(recipients), normalized(content)) == (*queued(expected)[:2], normalized(expected.content))
    assert row.size == len(content)
    assert row.message_id.encode() in content


WORDS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\n\0"), max_size=60)
BODIES = st.text(st.characters(blacklist_categories=("Cs",)), max_size=300)
LOCAL = st.from_regex(r"[a-z0-9]{1,10}(\.[a-z0-9]{1,5})?", fullmatch=True)
DOMAINS = st.sampled_from(["example.com", "a.example.org", "bücher.example", "xn--bcher-kva.example"])
ADDRESSES = st.builds("{}@{}".format, LOCAL, DOMAINS)
quiet = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)


@quiet
@given(
    subject=WORDS,
    body=BODIES,
    html=BODIES,
    to=st.lists(ADDRESSES, min_size=1, max_size=4),
    text=BODIES,
    raw=st.binary(max_size=200),
)
def test_p4_any_message_is_queued_as_django_sends_it(
    sent_by_django: Sent, subject: str, body: str, html: str, to: list[str], text: str, raw: bytes
) -> None:
    email = message(subject, body, to=to)
    email.attach_alternative(html, "text/html")
    email.attach("t.txt", text, "text/plain")
    email.attach("b.bin", raw, "application/octet-stream")
    try:
        expected = sent_by_django(email)
    except ValueError:
        with pytest.raises(ValueError):
            prepare(email)
        return
    sender, recipients, content = queued(prepare(email))
    assert (sender, recipients) == expected[:2]
    assert normalized(content) == normalized(expected[2])


@settings(quiet, max_examples=300)
@given(st.one_of(ADDRESSES, st.emails(), st.text("ab@.<>\"' \t\r\n\0äÄ,;:()", max_size=20)))
def test_an_address_stands_in_the_envelope_as_django_puts_it(address: str) -> None:
    try:
        expected: Any = envelope_address(address, "utf-8")
    except (AttributeError, IndexError, TypeError, ValueError):
        expected = None
    try:
        assert to_envelope(address, "utf-8") == expected
    except InvalidAddress:
        assert not expected or re.search(r"[\x00-\x20\x7f<>]", expected)
