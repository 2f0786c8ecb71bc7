"""Where the queue may live: in a project's only database, or in one of its own behind router and alias."""

from __future__ import annotations

import email
from contextlib import ExitStack
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from tests.support import databases
from tests.support.postgres import connect
from tests.support.projects import STANDARD_APPS, Project
from tests.support.smtpserver import SmtpServer
from tests.support.waiting import wait_until

BACKEND = "email_relay.backend.RelayDatabaseEmailBackend"
SEND = """
import sys
from django.core.mail import send_mass_mail
count = int(sys.argv[1])
send_mass_mail([(f"Order {n}", "Thanks", "shop@example.com", [f"you{n}@example.org"]) for n in range(count)])
"""
SHOP = {
    "shop.__init__": "",
    "shop.models": """
from django.db import models


class Order(models.Model):
    number = models.IntegerField()
""",
    "shop.migrations.__init__": "",
}
SEND_WITH_ORDER = """
from django.core.mail import send_mail
from shop.models import Order
Order.objects.create(number=17)
send_mail("Order 17", "Thanks", "shop@example.com", ["you@example.org"])
"""


def subjects(server: SmtpServer) -> list[str]:
    return sorted(str(email.message_from_bytes(m.content, policy=default)["Subject"]) for m in server.received)


def query(url: str, sql: str) -> list[Any]:
    connection = connect(url)
    try:
        cursor = connection.cursor()
        cursor.execute(sql)
        return [value for (value,) in cursor.fetchall()]
    finally:
        connection.close()


def tables(url: str) -> set[str]:
    return set(query(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))


def settled(url: str) -> list[int]:
    return query(url, "SELECT count(*) FROM email_relay_message WHERE status = 4")


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_one_database_for_all(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, smtp_server: SmtpServer
) -> None:
    """No alias, no router: the app, its backend, `migrate` and `runrelay` are enough."""
    url = request.getfixturevalue("postgresql_database") if kind == "postgresql" else str(tmp_path / "site.sqlite3")
    way_out = {"EMAIL_HOST": smtp_server.host, "EMAIL_PORT": smtp_server.port}
    site = Project(tmp_path, {"default": url}, EMAIL_BACKEND=BACKEND, **way_out)
    site.manage("migrate", "--verbosity", "0")
    site.script(SEND, 3)

    printed = site.manage("runrelay", "--once")

    assert "sent 3, deferred 0, failed 0" in printed
    assert subjects(smtp_server) == ["Order 0", "Order 1", "Order 2"]


class Shop:
    """A project with its own database and, behind alias and router, the relay's."""

    def __init__(self, directory: Path, own: str, relay: str, server: SmtpServer) -> None:
        self.own, self.relay = own, relay
        self.project = Project(
            directory,
            {"default": own, "email_relay_db": relay},
            apps=(*STANDARD_APPS, "shop"),
            modules=SHOP,
            EMAIL_BACKEND=BACKEND,
            DATABASE_ROUTERS=["email_relay.db.EmailDatabaseRouter"],
            DJANGO_EMAIL_RELAY={"EMPTY_QUEUE_SLEEP": 0.5},
            EMAIL_HOST=server.host,
            EMAIL_PORT=server.port,
        )
        self.project.manage("makemigrations", "shop", "--verbosity", "0")
        self.project.manage("migrate", "--verbosity", "0")
        self.project.manage("migrate", "--database", "email_relay_db", "--verbosity", "0")


@pytest.fixture
def shop(tmp_path: Path, postgresql_database: str, smtp_server: SmtpServer) -> Any:
    with databases.postgresql_database() as relay:
        yield Shop(tmp_path, postgresql_database, relay, smtp_server)


def test_router_and_alias_keep_the_tables_apart(shop: Shop, smtp_server: SmtpServer) -> None:
    """Each table is in one database alone, and the project's models stay where they were."""
    ours = {"email_relay_" + name for name in ("message", "attempt", "server", "worker", "suppression", "pace")}
    assert tables(shop.relay) == ours | {"django_migrations"}
    assert tables(shop.own) >= {"shop_order", "auth_user", "django_migrations"}
    assert not {table for table in tables(shop.own) if table.startswith("email_relay")}

    shop.project.script(SEND_WITH_ORDER)
    assert query(shop.own, "SELECT number FROM shop_order") == [17]
    shop.project.manage("runrelay", "--once")

    assert subjects(smtp_server) == ["Order 17"]


def test_relays_behind_router_and_alias_claim_each_message_once(shop: Shop, smtp_server: SmtpServer) -> None:
    """Two of them at once: every transaction of theirs is on the alias, or SKIP LOCKED would fail."""
    with ExitStack() as stack:
        relays = [stack.enter_context(shop.project.start("-m", "django", "runrelay")) for _ in range(2)]
        for relay in relays:
            relay.wait_ready("relay started")
        shop.project.script(SEND, 60)
        wait_until(lambda: settled(shop.relay) == [60], 60, lambda: f"60 sent, there are {settled(shop.relay)}")
        assert [relay.terminate() for relay in relays] == [0, 0]
    assert subjects(smtp_server) == sorted(f"Order {n}" for n in range(60))
