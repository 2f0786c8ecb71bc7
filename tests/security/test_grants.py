"""Roles with the least rights, tried by breaking out of them; and the stock backend and relay at work in them."""

from __future__ import annotations

import importlib.util
import io
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import pytest
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.db import ProgrammingError
from django.test import override_settings

from email_relay.exceptions import ConfigurationError
from email_relay.grants import ClientRole, RelayRole
from email_relay.models import Message
from email_relay.queue import cancel, enqueue, hold, release, requeue, send_now, status
from tests.security.conftest import Site
from tests.support.aliases import alias_for
from tests.support.environments import PSYCOPG2, environment_with
from tests.support.projects import Project
from tests.support.smtpserver import SmtpServer

BACKEND = "email_relay.backend.RelayDatabaseEmailBackend"
ROUTER = "email_relay.db.EmailDatabaseRouter"
FORBIDDEN = "42501"  # insufficient_privilege, and a row that violates a policy

INSERT = "INSERT INTO email_relay_message (data, priority, created_at, updated_at, source{}) VALUES ('{{}}', 1, now(), now(), {}{})"
OWN = INSERT.format("", "'shop'", "")

BREAKOUTS = {
    "another project's name": INSERT.format("", "'blog'", ""),
    "the role's name, which is not its source": "INSERT INTO email_relay_message (data, priority, created_at, updated_at) VALUES ('{}', 1, now(), now())",
    "a key of its own": INSERT.format(", id", "'shop'", ", 1"),
    "a row that is sent already": INSERT.format(", status", "'shop'", ", 4"),
    "a row of a relay": INSERT.format(", worker", "'shop'", ", 'w'"),
    "a lease": INSERT.format(", lease_token, lease_until", "'shop'", ", 't', now()"),
    "retries": INSERT.format(", retry_count", "'shop'", ", 9"),
    "lapses": INSERT.format(", lapse_count", "'shop'", ", 9"),
    "who is still owed": INSERT.format(", pending", "'shop'", ", '[]'"),
    "a repeated key that changes a row": OWN + " ON CONFLICT (id) DO UPDATE SET priority = 3",
    "its own body, by RETURNING": OWN + " RETURNING mime",
    "its own body": "SELECT mime FROM email_relay_message",
    "its own text": "SELECT data FROM email_relay_message",
    "its own recipients": "SELECT recipients FROM email_relay_message",
    "whole rows": "SELECT * FROM email_relay_message",
    "a filter on text": "SELECT id FROM email_relay_message WHERE data->>'subject' = 'secret'",
    "an update": "UPDATE email_relay_message SET priority = 3",
    "a row lock": "SELECT id FROM email_relay_message FOR UPDATE",
    "a deletion": "DELETE FROM email_relay_message",
    "truncation": "TRUNCATE email_relay_message",
    "attempts": "SELECT * FROM email_relay_attempt",
    "servers": "UPDATE email_relay_server SET opened_at = now()",
    "relays": "SELECT * FROM email_relay_worker",
    "suppressions": "INSERT INTO email_relay_suppression (pattern, reason, created_at) VALUES ('a', '', now())",
    "migrations": "SELECT * FROM django_migrations",
    "security off": "SET row_security = off; SELECT id FROM email_relay_message",
    "security off for good": "ALTER TABLE email_relay_message DISABLE ROW LEVEL SECURITY",
    "a policy of its own": "CREATE POLICY mine ON email_relay_message USING (true)",
    "a table": "CREATE TABLE mine (id int)",
    "a trigger on the queue": "CREATE TRIGGER mine AFTER INSERT ON email_relay_message EXECUTE FUNCTION email_relay_wake()",
    "the owner's function": "CREATE TEMP TABLE t (i int); CREATE TRIGGER mine AFTER INSERT ON t EXECUTE FUNCTION email_relay_wake()",
    "a file on the server": "COPY email_relay_message (data) TO '/tmp/mail'",
}


def seed(site: Site) -> None:
    """A row of each project, bodies and all."""
    for source in ("shop", "blog"):
        site.execute(INSERT.format(", mime", f"'{source}'", ", 'secret'::bytea"))


def test_a_clients_role_breaks_out_in_no_way(site: Site) -> None:
    """Each statement is refused, for want of the right and not by a slip."""
    seed(site)
    refusals = {what: site.refusal(sql, site.shop) for what, sql in BREAKOUTS.items()}
    assert {what: state for what, state in refusals.items() if state != FORBIDDEN} == {}
    assert site.execute("SELECT count(*), max(priority) FROM email_relay_message") == [(2, 1)]


def test_a_client_sees_the_state_of_its_own_rows_alone(site: Site) -> None:
    seed(site)
    assert site.execute("SELECT source, status, log FROM email_relay_message", site.shop) == [("shop", 1, "")]
    assert site.execute("SELECT source FROM email_relay_message", site.blog) == [("blog",)]


def test_other_sessions_cannot_become_the_role_of_a_relay(site: Site) -> None:
    assert site.refusal(f'SET ROLE "{site.relay}"', site.shop) == FORBIDDEN
    assert site.refusal(f'SET SESSION AUTHORIZATION "{site.relay}"', site.shop) == FORBIDDEN


@contextmanager
def relay_database(url: str, **ours: Any) -> Iterator[None]:
    """Router and alias lead to *url* meanwhile."""
    ours = {"DATABASE_ALIAS": "email_relay_db", **ours}
    with override_settings(DATABASE_ROUTERS=[ROUTER], DJANGO_EMAIL_RELAY=ours), alias_for(url, "email_relay_db"):
        yield


@pytest.fixture
def client(site: Site, django_db_blocker: Any) -> Any:
    """This process as the project `shop`, connected as its role."""
    with django_db_blocker.unblock(), relay_database(site.url_of(site.shop), SOURCE="shop"):
        yield


def mail(**attributes: Any) -> EmailMessage:
    message = EmailMessage("Subject", "Body", "shop@example.com", ["you@example.org"])
    for name, value in attributes.items():
        setattr(message, name, value)
    return message


def test_the_stock_backend_queues_under_its_role(site: Site, client: Any) -> None:
    """One, many, and a repeated idempotency key, which must be read back."""
    assert enqueue([mail()]) == 1
    assert enqueue([mail() for _ in range(5)]) == 5
    first, second = mail(idempotency_key="order-17"), mail(idempotency_key="order-17")
    enqueue([first])
    enqueue([second])
    assert second.relay_handle == first.relay_handle
    assert site.execute("SELECT source, status, count(*) FROM email_relay_message GROUP BY 1, 2") == [("shop", 1, 7)]


def test_p12_a_role_that_was_granted_nothing_is_told_what_to_run(site: Site, client: Any) -> None:
    site.execute(f'REVOKE ALL ON email_relay_message FROM "{site.shop}"')
    with pytest.raises(ConfigurationError, match=r"permission denied.*run the SQL of `relaygrants"):
        enqueue([mail()])


def test_a_client_may_ask_what_became_of_its_mail(site: Site, client: Any) -> None:
    """Of its own: another project's answers as one that was never queued."""
    message = mail()
    enqueue([message])
    assert status(*message.relay_handle).state == "queued"
    site.execute("UPDATE email_relay_message SET source = 'blog'")
    assert status("blog", message.relay_handle.message_id) is None


def test_a_client_cannot_steer_the_queue(site: Site, client: Any) -> None:
    enqueue([mail()])
    for verb in (requeue, send_now, hold, release, cancel):
        with pytest.raises(ProgrammingError, match="permission denied"):
            verb(Message.objects.using("email_relay_db").all())


def test_a_table_with_a_serial_key_is_served_too(site: Site, client: Any) -> None:
    """Django before 4.1 made one: its sequence needs a right of its own."""
    identity = (
        "SELECT attidentity <> '' FROM pg_attribute WHERE attrelid = 'email_relay_message'::regclass AND attname = 'id'"
    )
    if site.execute(identity) == [(True,)]:
        site.execute("""
            ALTER TABLE email_relay_message ALTER id DROP IDENTITY;
            CREATE SEQUENCE email_relay_message_key OWNED BY email_relay_message.id;
            ALTER TABLE email_relay_message ALTER id SET DEFAULT nextval('email_relay_message_key')
        """)
    site.apply(ClientRole(site.shop, "shop"))
    assert enqueue([mail()]) == 1


def test_a_client_that_claims_another_name_is_refused(site: Site, client: Any) -> None:
    ours = {"DATABASE_ALIAS": "email_relay_db", "SOURCE": "blog"}
    with override_settings(DJANGO_EMAIL_RELAY=ours), pytest.raises(ConfigurationError) as caught:
        enqueue([mail()])
    told = str(caught.value)
    assert f"The role {site.shop!r} may not queue mail of the source 'blog'" in told
    assert "row-level security" in told
    assert f"relaygrants --role {site.shop} --source blog" in told
    assert site.execute("SELECT count(*) FROM email_relay_message") == [(0,)]


def project(directory: Path, url: str, **settings: Any) -> Project:
    own = {"default": str(directory / "own.sqlite3"), "email_relay_db": url}
    return Project(directory, own, DATABASE_ROUTERS=[ROUTER], **settings)


SEND = """
from django.core.mail import send_mail
send_mail("Hello", "Body", "shop@example.com", ["you@example.org"])
"""


def test_client_and_relay_work_as_processes_under_their_roles(
    site: Site, tmp_path: Path, smtp_server: SmtpServer
) -> None:
    """The relay waits for a notification, not for its poll: the trigger may read what the client may not."""
    client = project(
        tmp_path, site.url_of(site.shop), name="shop", EMAIL_BACKEND=BACKEND, DJANGO_EMAIL_RELAY={"SOURCE": "shop"}
    )
    ours = {"EMPTY_QUEUE_SLEEP": 600, "MESSAGES_RETENTION_SECONDS": 0}
    way_out = {"EMAIL_HOST": smtp_server.host, "EMAIL_PORT": smtp_server.port}
    relay = project(tmp_path, site.url_of(site.relay), name="relay", DJANGO_EMAIL_RELAY=ours, **way_out)
    client.script(SEND)
    with relay.start("-m", "django", "runrelay") as process:
        smtp_server.wait_for(1)
        client.script(SEND)
        smtp_server.wait_for(2)
        assert process.terminate() == 0


def test_the_relays_role_has_no_ddl(site: Site) -> None:
    statements = [
        "CREATE TABLE mine (id int)",
        "DROP TABLE email_relay_attempt",
        "ALTER TABLE email_relay_message DISABLE ROW LEVEL SECURITY",
        "TRUNCATE email_relay_message",
        "DELETE FROM django_migrations",
        "DROP FUNCTION email_relay_wake() CASCADE",
        "CREATE INDEX mine ON email_relay_message (id)",
    ]
    assert {site.refusal(sql, site.relay) for sql in statements} == {FORBIDDEN}


def test_a_relay_without_a_policy_keeps_security_from_being_switched_on(site: Site) -> None:
    """It would see an empty queue and idle for ever, without a word."""
    forgotten = site.roles.make("forgotten")
    site.execute(f'GRANT SELECT, UPDATE ON email_relay_message TO "{forgotten}"')
    with pytest.raises(Exception, match=f"Role {forgotten} works on the queue"):
        site.apply(ClientRole(site.shop, "shop"))
    site.apply(RelayRole(forgotten))
    site.apply(ClientRole(site.shop, "shop"))


def test_the_grants_may_be_run_again_and_narrow_what_was_given(site: Site) -> None:
    site.apply(ClientRole(site.shop, "shop", legacy=True))
    site.execute(f'GRANT ALL ON email_relay_message, email_relay_worker TO "{site.shop}"')
    site.apply(ClientRole(site.shop, "shop"))
    test_a_clients_role_breaks_out_in_no_way(site)


def test_names_are_quoted(site: Site) -> None:
    """Whatever an operator types is a name, and never SQL."""
    quaint = "it's; DROP TABLE email_relay_worker --"
    site.apply(ClientRole(site.shop, quaint))
    assert site.refusal(OWN, site.shop) == FORBIDDEN
    assert site.refusal(INSERT.format("", "'" + quaint.replace("'", "''") + "'", ""), site.shop) is None


@pytest.mark.parametrize("name", ['a"b', "a$grants$b", "a\nb", "", "x" * 64])
def test_names_that_cannot_be_quoted_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name for a role"):
        ClientRole(name, "shop")
    with pytest.raises(ValueError, match="no name for a role"):
        RelayRole(name)


LEGACY_BREAKOUTS = {
    "a row that is sent already": INSERT.format(", status, sent_at", "'shop'", ", 4, now()"),
    "retries": INSERT.format(", retry_count", "'shop'", ", 9"),
    "a log": INSERT.format(", log", "'shop'", ", 'forged'"),
    "another project's name": INSERT.format("", "'blog'", ""),
    "its own text": "SELECT data FROM email_relay_message",
    "an update": "UPDATE email_relay_message SET status = 1",
}


def test_p9_a_legacy_role_may_name_more_columns_but_give_them_no_values(site: Site) -> None:
    """P9: what a client of 0.x writes passes, and nothing else."""
    site.apply(ClientRole(site.shop, "shop", legacy=True))
    refusals = {what: site.refusal(sql, site.shop) for what, sql in LEGACY_BREAKOUTS.items()}
    assert {what: state for what, state in refusals.items() if state != FORBIDDEN} == {}
    columns = "data, priority, status, retry_count, log, created_at, updated_at, sent_at"
    values = "'{}', 1, 1, 0, '', now(), now(), NULL"
    written = f"INSERT INTO email_relay_message ({columns}) VALUES ({values}) RETURNING id"
    assert site.refusal(written, site.shop) is None
    assert site.execute("SELECT source FROM email_relay_message") == [(site.shop,)]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("python", "release", "django"),
    [("3.8", "0.4.3", "Django>=3.2,<4"), ("3.9", "0.6.0", "Django>=4.2,<5")],
)
def test_p9_clients_of_0_x_queue_under_a_legacy_role(
    site: Site, tmp_path: Path, python: str, release: str, django: str
) -> None:
    """P9: the releases themselves."""
    site.apply(ClientRole(site.shop, "shop", legacy=True))
    interpreter = environment_with(python, f"django-email-relay=={release}", django, PSYCOPG2)
    settings = {"name": "old", "python": interpreter, "ours": False, "EMAIL_BACKEND": BACKEND}
    project(tmp_path, site.url_of(site.shop), **settings).script(SEND)
    assert site.execute("SELECT source, status FROM email_relay_message") == [(site.shop, 1)]


def printed(**options: Any) -> str:
    output = io.StringIO()
    call_command("relaygrants", stdout=output, **options)
    return output.getvalue()


@pytest.fixture
def driver() -> None:
    """Django loads one as soon as the alias is looked at."""
    if not any(map(importlib.util.find_spec, ("psycopg", "psycopg2"))):
        pytest.skip("neither psycopg nor psycopg2 is installed")


@pytest.fixture
def on_postgresql(driver: None) -> Any:
    """The command looks at the kind of database and does not connect."""
    with relay_database("postgresql://nobody@127.0.0.1:1/none"):
        yield


def test_the_command_prints_both_roles_and_the_relays_first(on_postgresql: Any) -> None:
    sql = printed(role="app1", source="shop", relay="relay1")
    assert "FOR INSERT TO \"app1\" WITH CHECK (source IN ('shop')" in sql
    assert sql.index("relay1") < sql.index("app1")
    assert "auth_user" not in printed(relay="relay1")


def test_the_command_takes_the_role_for_the_source(on_postgresql: Any) -> None:
    assert "source IN ('app1')" in printed(role="app1")


def test_with_a_console_the_relays_role_works_on_the_other_tables(driver: None) -> None:
    """Those that are in its database: a router may keep them elsewhere, and does with a relay database of its own."""
    with relay_database("postgresql://nobody@127.0.0.1:1/none"):
        assert "auth_user" not in printed(relay="relay1", console=True)
    with alias_for("postgresql://nobody@127.0.0.1:1/none", "only"), override_settings(DATABASE_ROUTERS=[OnlyRouter()]):
        sql = printed(relay="relay1", console=True)
    assert '"public"."auth_user"' in sql
    assert '"public"."auth_user_groups"' in sql


class OnlyRouter:
    """Everything is in the database `only`."""

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "only"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "Name a role"),
        ({"role": "a", "relay": "a"}, "--relay alone"),
        ({"role": 'a"b'}, "no name for a role"),
        ({"role": "a", "source": "a\\b"}, "no name for a source"),
    ],
)
def test_the_command_explains_what_it_cannot_do(on_postgresql: Any, options: dict, complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        printed(**options)


def test_the_command_is_for_postgresql(tmp_path: Path) -> None:
    with relay_database(str(tmp_path / "db.sqlite3")), pytest.raises(CommandError, match="PostgreSQL"):
        printed(role="app1")
