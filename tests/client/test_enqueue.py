"""Enqueue: one message is one statement, transactions decide, and what cannot be queued says why."""

from __future__ import annotations

import logging
import threading
import warnings
from datetime import datetime, timedelta, timezone
from traceback import format_exception
from typing import Any, Callable

import pytest
from django.core.mail import EmailMessage, get_connection, mail_admins, send_mail, send_mass_mail
from django.db import DatabaseError, IntegrityError, OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from email_relay import exceptions, queue
from email_relay.compat import HAS_MAILERS
from email_relay.models import Message, Status
from email_relay.payload import content_of
from email_relay.queue import enqueue
from email_relay.signals import message_queued
from tests.client.conftest import RolledBack, send_and_roll_back
from tests.support.constraints import refusing

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
]
SECRET = "the-secret-body"


def test_one_message_is_one_statement(mail: Callable, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert mail(to=[f"r{n}@example.org" for n in range(50)]).send() == 1


@pytest.mark.django_db(transaction=True)
def test_one_message_opens_no_transaction(mail: Callable) -> None:
    with CaptureQueriesContext(connection) as queries:
        mail().send()
    assert [query["sql"].split()[0] for query in queries] == ["INSERT"]


def test_many_messages_are_one_statement_for_each_chunk(
    mail: Callable, relay_setting: Any, django_assert_num_queries: Any
) -> None:
    relay_setting(MESSAGES_BATCH_SIZE=10)
    with django_assert_num_queries(3 + 2):  # and a savepoint around
        assert enqueue(mail(str(n)) for n in range(25)) == 25
    assert [row.subject for row in Message.objects.order_by("id")] == [str(n) for n in range(25)]


def test_every_way_django_offers(settings: Any) -> None:
    settings.ADMINS = [("A", "admin@example.org")] if not HAS_MAILERS else ["admin@example.org"]
    assert send_mail("s", "b", None, ["a@example.org"]) == 1
    assert send_mass_mail([("s", "b", None, ["a@example.org"]), ("s", "b", None, ["b@example.org"])]) == 2
    mail_admins("s", "b")
    assert get_connection().send_messages([]) == 0
    assert Message.objects.count() == 4


def test_a_row_is_queued_and_due_by_the_databases_clock(mail: Callable, only_row: Callable) -> None:
    email = mail("Grüße", bcc=["blind@example.org"])
    email.send()
    row = only_row()
    assert (row.status, row.priority, row.retry_count, row.worker, row.pending) == (Status.QUEUED, 2, 0, None, None)
    assert row.created_at == row.updated_at == row.due_at == row.ready_at
    assert (row.envelope_from, row.recipients) == ("sender@example.com", ["reader@example.org", "blind@example.org"])
    assert row.data["subject"] == "Grüße"
    assert row.data["format"] == 2
    assert b"blind" not in bytes(row.mime)
    assert list(Message.objects.claimable()) == [row]


def test_the_sender_gets_a_handle_and_can_ask(mail: Callable, django_assert_num_queries: Any) -> None:
    email = mail()
    email.send()
    with CaptureQueriesContext(connection) as queries:
        state = queue.status(*email.relay_handle)
    assert (state.state, state.status, state.refused) == ("queued", Status.QUEUED, {})
    assert state.next_attempt_at is not None
    assert "mime" not in queries[0]["sql"]
    assert '"data"' not in queries[0]["sql"]
    assert queue.status("other", email.relay_handle.message_id) is None


def test_message_queued_fires_and_a_bad_receiver_harms_nothing(
    mail: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    heard = []

    def good(**facts: Any) -> None:
        heard.append((facts["source"], facts["message_id"]))

    def bad(**_: Any) -> None:
        raise ValueError(SECRET)

    for receiver in (bad, good):
        message_queued.connect(receiver)
    try:
        email = mail()
        with caplog.at_level(logging.ERROR, "email_relay"):
            assert email.send() == 1
    finally:
        for receiver in (bad, good):
            message_queued.disconnect(receiver)
    assert heard == [tuple(email.relay_handle)]
    assert any("failed on a signal" in record.getMessage() for record in caplog.records)


# transactions


@pytest.mark.django_db(transaction=True)
def test_p11_rolled_back_means_not_sent(mail: Callable) -> None:
    with pytest.raises(RolledBack):
        send_and_roll_back(mail())
    assert Message.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_p11_a_savepoint_takes_its_mail_with_it(mail: Callable) -> None:
    with transaction.atomic():
        mail("kept").send()
        with pytest.raises(RolledBack):
            send_and_roll_back(mail("lost"))
    assert [row.subject for row in Message.objects.all()] == ["kept"]


@pytest.mark.django_db(transaction=True)
def test_many_are_queued_or_none(mail: Callable, relay_setting: Any) -> None:
    relay_setting(MESSAGES_BATCH_SIZE=1)
    with pytest.raises(exceptions.InvalidAddress):
        enqueue([mail("1"), mail("2"), mail("3"), mail("bad", to=["a@b@c"])])
    assert Message.objects.count() == 0


# idempotency


@pytest.mark.django_db(transaction=True)
def test_a_repeated_key_is_one_row_and_one_handle(mail: Callable) -> None:
    first, again, other = mail(), mail(), mail()
    first.idempotency_key = again.idempotency_key = "order-1"
    other.idempotency_key = "order-2"
    assert first.send() == 1
    with CaptureQueriesContext(connection) as queries:
        assert again.send() == 1
    assert len(queries) <= 2
    assert again.relay_handle == first.relay_handle
    assert enqueue([mail(), again, other]) == 3
    assert Message.objects.count() == 3
    with transaction.atomic():
        again.send()
        mail().send()
    assert Message.objects.count() == 4


@pytest.mark.django_db(transaction=True)
def test_a_repeated_key_is_one_row_under_concurrency(mail: Callable) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("one writer at a time")
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def send() -> None:
        email = mail()
        email.idempotency_key = "k"
        start.wait(30)
        try:
            email.send()
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert Message.objects.count() == 1


# what cannot be queued


def test_no_recipients_is_nothing(mail: Callable) -> None:
    assert get_connection().send_messages([mail(to=[]), mail(to=[""])]) == 0
    assert Message.objects.count() == 0


@pytest.mark.parametrize(
    "address", ["a@example.org\r\nBcc: x@y", "a\n@example.org", "a b", "@", "a@b@c", "<>", "x\0@y.z"]
)
def test_p5_a_bad_address_raises_in_the_client(mail: Callable, address: str) -> None:
    for fields in ({"to": [address]}, {"from_email": address}, {"bcc": [address]}):
        with pytest.raises(ValueError):
            mail(**fields).send()
    assert Message.objects.count() == 0


def test_p5_a_line_break_in_a_header_raises_as_django_does(mail: Callable) -> None:
    for email in (mail("a\r\nBcc: x@y.z"), mail(headers={"X-A": "b\nc"})):
        with pytest.raises(ValueError, match=r"newline|linefeed"):
            email.send()


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": SECRET + "\ud800"},
        {"body": SECRET + "\ud800"},
        {"headers": {"X-A": SECRET + "\ud800"}},
        {"attachments": [("a.txt", SECRET + "\ud800", "text/plain")]},
    ],
)
def test_p5_a_lone_surrogate_raises_in_the_client(mail: Callable, fields: dict) -> None:
    with pytest.raises(exceptions.UnencodableMessage) as caught:
        mail(**fields).send()
    assert SECRET not in str(caught.value)  # P13
    assert Message.objects.count() == 0


def test_p5_an_unknown_charset_raises_in_the_client(mail: Callable) -> None:
    email = mail(body="ü")
    email.encoding = "no-such-charset"
    with pytest.raises(exceptions.UnencodableMessage):
        email.send()


def test_p5_a_message_over_the_limit_raises_in_the_client(mail: Callable, relay_setting: Any) -> None:
    relay_setting(MESSAGE_MAX_BYTES=5000)
    assert mail(body="x" * 3000).send() == 1
    with pytest.raises(exceptions.MessageTooLarge, match="5,000"):
        mail(body="x\n" * 3000).send()


def test_p5_an_attachment_of_40_mb_against_the_usual_limit(mail: Callable) -> None:
    email = mail()
    email.attach("film.bin", bytes(40 * 1024 * 1024), "application/octet-stream")
    with pytest.raises(exceptions.MessageTooLarge, match="MESSAGE_MAX_BYTES allows 26,214,400"):
        email.send()
    assert Message.objects.count() == 0


def test_nul_and_surrogates_are_taken_where_django_takes_them(mail: Callable, only_row: Callable) -> None:
    email = mail("a\0b", "c\0d", headers={"X-A": "g\0h"})
    email.attach("e\0f.bin", b"\0", "application/octet-stream")
    email.send()
    row = only_row()
    assert row.subject == "a\ufffdb"
    assert row.data["attachments"][0]["filename"] == "e\ufffdf.bin"
    assert row.data["extra_headers"]["X-A"] == "g\ufffdh"
    assert b"c\0d" in bytes(row.mime)


def test_ten_thousand_recipients(mail: Callable, only_row: Callable) -> None:
    assert mail(to=[], bcc=[f"r{n}@example.org" for n in range(10_000)]).send() == 1
    assert len(only_row().recipients) == 10_000


def test_no_sender_is_the_default_sender(mail: Callable, only_row: Callable, settings: Any) -> None:
    settings.DEFAULT_FROM_EMAIL = "Shop <shop@example.com>"
    mail(from_email=None).send()
    row = only_row()
    assert row.envelope_from == "shop@example.com"
    assert b"From: Shop <shop@example.com>\r\n" in bytes(row.mime)


def test_a_recipient_named_twice_gets_it_once(mail: Callable, only_row: Callable) -> None:
    mail(to=["A <a@example.org>"], cc=["a@example.org"]).send()
    assert only_row().recipients == ["a@example.org"]


# a database in trouble


def test_p12_a_missing_alias_is_loud_even_silently(mail: Callable, settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["email_relay.db.EmailDatabaseRouter"]
    with pytest.raises(exceptions.ConfigurationError, match="email_relay_db"):
        silently(mail())


@pytest.mark.django_db(transaction=True)
def test_a_read_only_database(mail: Callable) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL's way")
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        with pytest.raises(exceptions.QueueUnavailable, match="read-only"):
            mail().send()
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("count", [1, 3])
def test_p13_a_row_that_the_database_refuses_is_not_quoted(mail: Callable, relay_setting: Any, count: int) -> None:
    """By a constraint of the operator's, say: PostgreSQL's error holds the row."""
    relay_setting(MESSAGES_BATCH_SIZE=1)
    with refusing("size < 5"), pytest.raises(IntegrityError, match="23514 refusing") as caught:
        get_connection().send_messages([mail(SECRET, SECRET, to=[f"{SECRET}@example.org"]) for _ in range(count)])
    assert SECRET not in "".join(format_exception(caught.type, caught.value, caught.tb))


@pytest.mark.django_db(transaction=True)
def test_a_message_larger_than_mariadb_takes_says_which_variable_to_set(mail: Callable, relay_setting: Any) -> None:
    if connection.vendor != "mysql":
        pytest.skip("MariaDB's way")
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        allowed = cursor.fetchone()[0]
    relay_setting(MESSAGE_MAX_BYTES=2 * allowed)
    with pytest.raises(exceptions.QueueUnavailable, match="max_allowed_packet"):
        mail(body="x" * 900 * (allowed // 900)).send()
    assert mail().send() == 1


@pytest.mark.django_db(transaction=True)
def test_the_next_message_finds_a_new_connection_after_the_old_one_died(mail: Callable) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL's way")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    killer = connection.copy()
    with killer.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    killer.close()
    with pytest.raises(exceptions.QueueUnavailable):
        mail().send()
    assert mail().send() == 1


def test_programming_errors_are_never_swallowed(mail: Callable) -> None:
    class Broken(EmailMessage):
        def message(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        silently(Broken("s", "b", None, ["a@example.org"]))


def silently(email: Any) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return get_connection(fail_silently=True).send_messages([email])


# the backend


def test_p12_an_unknown_option_is_loud() -> None:
    with pytest.raises(exceptions.ConfigurationError, match="priorty"):
        get_connection(priorty=1)
    with pytest.raises(exceptions.ConfigurationError, match="priority"):
        get_connection(priority="urgent")


@pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS is new in Django 6.1")
def test_mailers_with_different_options(mail: Callable, settings: Any) -> None:
    backend = settings.EMAIL_BACKEND
    del settings.EMAIL_BACKEND
    settings.MAILERS = {
        "default": {"BACKEND": backend},
        "urgent": {"BACKEND": backend, "OPTIONS": {"priority": "high"}},
        "wrong": {"BACKEND": backend, "OPTIONS": {"priorty": 1}},
    }
    mail("1").send()
    mail("2").send(using="urgent")
    assert list(Message.objects.order_by("id").values_list("priority", flat=True)) == [2, 3]
    with pytest.raises(Exception, match="priorty"):
        mail().send(using="wrong")


# staging


def test_override_recipients(mail: Callable, relay_setting: Any, only_row: Callable) -> None:
    relay_setting(OVERRIDE_RECIPIENTS=["QA <qa@example.com>"])
    mail(bcc=["b@example.org"]).send()
    row = only_row()
    assert row.recipients == ["qa@example.com"]
    assert row.email.extra_headers["X-Email-Relay-Original-To"] == "reader@example.org, b@example.org"


def test_allowed_recipient_domains(mail: Callable, relay_setting: Any, only_row: Callable) -> None:
    relay_setting(ALLOWED_RECIPIENT_DOMAINS=["Example.com"])
    assert mail(to=["x@EXAMPLE.com", "y@sub.example.com", "z@example.org"]).send() == 1
    assert mail(to=["z@example.org"]).send() == 0
    row = only_row()
    assert row.recipients == ["x@EXAMPLE.com"]
    assert "z@example.org" in row.email.extra_headers["X-Email-Relay-Original-To"]


def test_django_errors_are_what_they_were() -> None:
    assert issubclass(exceptions.InvalidAddress, ValueError)
    assert not issubclass(exceptions.QueueUnavailable, (DatabaseError, OperationalError))


# options


LATER = datetime(2035, 1, 1, tzinfo=timezone.utc)


def test_options_by_attribute_before_header_before_default(mail: Callable) -> None:
    email = mail("attribute", headers={"X-Email-Relay-Priority": "low"})
    email.priority = 3
    get_connection(priority=1).send_messages(
        [email, mail("header", headers={"X-EMAIL-RELAY-PRIORITY": "high"}), mail("default")]
    )
    mail("setting").send()
    assert {row.subject: row.priority for row in Message.objects.all()} == {
        "attribute": 3,
        "header": 3,
        "default": 1,
        "setting": 2,
    }
    assert not any(b"x-email-relay" in bytes(row.mime).lower() for row in Message.objects.all())
    assert email.extra_headers == {"X-Email-Relay-Priority": "low"}


@pytest.mark.parametrize("send_at", [LATER, LATER.isoformat()])
def test_send_at_is_when_it_is_due(mail: Callable, only_row: Callable, send_at: Any) -> None:
    email = mail()
    email.send_at, email.expires_at = send_at, timedelta(hours=2)
    email.send()
    row = only_row()
    assert row.due_at == row.ready_at == LATER
    assert abs(row.expires_at - row.created_at - timedelta(hours=2)) < timedelta(milliseconds=2)
    assert not Message.objects.claimable().exists()


@pytest.mark.parametrize("send_at", [timedelta(minutes=10), "600", "PT10M", "00:10:00"])
def test_send_at_counts_by_the_databases_clock(mail: Callable, only_row: Callable, send_at: Any) -> None:
    email = mail()
    email.send_at = send_at
    email.send()
    row = only_row()
    assert abs(row.due_at - row.created_at - timedelta(minutes=10)) < timedelta(milliseconds=2)


def test_send_at_in_the_past_is_now(mail: Callable, only_row: Callable) -> None:
    email = mail()
    email.send_at = datetime(2000, 1, 1, tzinfo=timezone.utc)
    email.send()
    assert only_row().due_at == only_row().created_at


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("priority", 0),
        ("priority", True),
        ("priority", "urgent"),
        ("send_at", LATER.replace(tzinfo=None)),
        ("send_at", "2035-01-01 00:00"),
        ("send_at", "2035-13-01T00:00Z"),
        ("send_at", timedelta(seconds=-1)),
        ("send_at", "tomorrow"),
        ("expires_at", 60),
        ("idempotency_key", ""),
        ("idempotency_key", "x" * 256),
        ("idempotency_key", "a\0b"),
        ("idempotency_key", 7),
    ],
)
def test_p12_a_bad_option_raises_at_the_call_and_is_named(mail: Callable, name: str, value: Any) -> None:
    email = mail()
    setattr(email, name, value)
    with pytest.raises(exceptions.InvalidOption, match=name):
        email.send()
    assert Message.objects.count() == 0


def test_p12_options_that_cannot_be_meant(mail: Callable) -> None:
    with pytest.raises(exceptions.InvalidOption, match="X-Email-Relay-Priorty"):
        mail(headers={"X-Email-Relay-Priorty": "1"}).send()
    email = mail()
    email.send_at = email.expires_at = LATER
    with pytest.raises(exceptions.InvalidOption, match="expires_at"):
        email.send()
    with pytest.raises(exceptions.ConfigurationError, match="idempotency_key"):
        get_connection(idempotency_key="k")


class Hidden(EmailMessage):
    """A project's own ``message()``, which writes a Bcc and leaves out what every message needs."""

    def message(self, *args: Any, **kwargs: Any) -> Any:
        made = super().message(*args, **kwargs)
        made["Bcc"] = "blind@example.org"
        del made["Message-ID"]
        del made["Date"]
        return made


def test_no_bcc_is_ever_in_the_headers_and_an_id_and_a_date_always(only_row: Callable) -> None:
    email = Hidden("s", "b", "sender@example.com", ["reader@example.org"], bcc=["blind@example.org"])
    email.send()
    row = only_row()
    content = bytes(row.mime)
    assert b"blind" not in content
    assert content.count(b"Message-ID: " + row.message_id.encode()) == content.count(b"\r\nDate: ") == 1
    assert tuple(email.relay_handle) == (row.source, row.message_id)


def test_p4_the_row_is_rendered_once(only_row: Callable) -> None:
    rendered = []

    class Counted(EmailMessage):
        def message(self, *args: Any, **kwargs: Any) -> Any:
            rendered.append(1)
            return super().message(*args, **kwargs)

    Counted("s", "b", "sender@example.com", ["reader@example.org"]).send()
    assert bytes(only_row().mime) == content_of(only_row()).content
    assert len(rendered) == 1
