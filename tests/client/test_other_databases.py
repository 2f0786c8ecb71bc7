"""A relay database of its own: transactions of other databases, and what is said when it is in trouble."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from django.core.mail import get_connection
from django.core.management import call_command
from django.db import transaction

from email_relay import exceptions, queue
from email_relay.models import Message
from email_relay.unavailable import explained
from tests.client.conftest import RolledBack, send_and_roll_back
from tests.support.aliases import alias_for

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")

RELAY = "email_relay_db"
SECRET = "the-secret-body"


@pytest.fixture(autouse=True)
def routed(django_db_blocker: Any, settings: Any) -> Iterator[None]:
    settings.DATABASE_ROUTERS = ["email_relay.db.EmailDatabaseRouter"]
    with django_db_blocker.unblock():
        yield


@pytest.fixture
def relay_database(tmp_path: Path) -> Iterator[None]:
    with alias_for(str(tmp_path / "relay.sqlite3"), alias=RELAY):
        call_command("migrate", database=RELAY, verbosity=0)
        yield


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[None]:
    """A database of the project's own."""
    with alias_for(str(tmp_path / "shop.sqlite3"), alias="shop"):
        yield


def subjects() -> list[str]:
    return [row.subject for row in Message.objects.order_by("id")]


def silently(email: Any) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return get_connection(fail_silently=True).send_messages([email])


@pytest.mark.usefixtures("relay_database", "shop")
def test_p11_on_commit_waits_for_the_projects_database(mail: Callable, relay_setting: Any) -> None:
    relay_setting(ENQUEUE_ON_COMMIT="shop")
    with transaction.atomic(using="shop"):
        email = mail("committed")
        assert email.send() == 1
        assert subjects() == []
        assert queue.status(*email.relay_handle) is None
    assert queue.status(*email.relay_handle).state == "queued"
    with pytest.raises(RolledBack):
        send_and_roll_back(mail("rolled back"), using="shop")
    with transaction.atomic(using="shop"):
        with pytest.raises(RolledBack):
            send_and_roll_back(mail("savepoint rolled back"), using="shop")
        mail("outer").send()
    mail("no transaction").send()
    assert subjects() == ["committed", "outer", "no transaction"]


@pytest.mark.usefixtures("relay_database", "shop")
def test_p11_the_relays_own_transaction_counts_whatever_is_watched(mail: Callable, relay_setting: Any) -> None:
    relay_setting(ENQUEUE_ON_COMMIT=RELAY)
    with pytest.raises(RolledBack):
        send_and_roll_back(mail("rolled back"), using=RELAY)
    assert subjects() == []
    with transaction.atomic(using=RELAY):
        mail("there at once").send()
        assert subjects() == ["there at once"]


@pytest.mark.usefixtures("relay_database", "shop")
def test_p11_without_on_commit_the_projects_transaction_has_no_say(mail: Callable) -> None:
    with pytest.raises(RolledBack):
        send_and_roll_back(mail("sent"), using="shop")
    assert subjects() == ["sent"]


@pytest.mark.usefixtures("shop")
def test_p12_on_commit_of_an_unknown_alias_is_loud(mail: Callable, relay_setting: Any, tmp_path: Path) -> None:
    relay_setting(ENQUEUE_ON_COMMIT="other")
    with alias_for(str(tmp_path / "relay.sqlite3"), alias=RELAY), pytest.raises(
        exceptions.ConfigurationError, match="other"
    ):
        mail().send()


def test_a_database_that_is_not_migrated(mail: Callable, tmp_path: Path) -> None:
    with alias_for(str(tmp_path / "relay.sqlite3"), alias=RELAY):
        with pytest.raises(exceptions.QueueUnavailable, match="migrate"):
            mail(body=SECRET).send()
        assert silently(mail()) == 0


def test_a_database_file_that_is_read_only(mail: Callable, relay_database: None, tmp_path: Path) -> None:
    uri = f"file:{tmp_path}/relay.sqlite3?mode=ro"
    with alias_for(uri, alias="read_only", uri=True) as read_only:
        cursor = read_only.cursor()
        with pytest.raises(exceptions.QueueUnavailable, match="read-only"), explained(read_only):
            cursor.execute("DELETE FROM email_relay_message")


def test_p13_a_database_that_is_down_says_so_without_the_mail(mail: Callable) -> None:
    if find_spec("psycopg2") is None:
        pytest.importorskip("psycopg")
    with alias_for("postgresql://someone:hunter2@127.0.0.1:1/none", alias=RELAY):
        assert silently(mail()) == 0
        with pytest.raises(exceptions.QueueUnavailable, match="See that it runs") as caught:
            mail(body=SECRET).send()
    assert "hunter2" not in str(caught.value)
    assert SECRET not in str(caught.value)
