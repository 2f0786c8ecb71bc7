"""Prepared statements: planned once for each link, and done without where a pooler or a changed table refuses them."""

from __future__ import annotations

import re

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from email_relay.relay.claim_postgresql import CLAIM
from email_relay.relay.prepared import Statement
from tests.relay.rows import claim, claimed, queued

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="prepared on PostgreSQL only"),
]


@pytest.fixture(autouse=True)
def a_link_of_its_own():
    connection.close()
    yield
    connection.close()


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def said(work) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        work()
    return [query["sql"].split()[0] for query in queries]


def test_a_link_prepares_once_and_then_each_claim_is_one_short_statement():
    assert said(claim)[-2:] == ["PREPARE", "EXECUTE"]
    assert said(claim) == ["EXECUTE"]


def test_a_plan_made_while_the_queue_was_empty_reads_no_whole_table():
    """It is kept until the next ANALYZE, and a hundred thousand messages may come before."""
    claim()
    with CaptureQueriesContext(connection) as queries:
        claim()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {queries[-1]['sql']}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Index Scan using email_relay_message_pkey" in plan
    assert not re.search(r"(Seq Scan|Bitmap Heap Scan) .*email_relay_message", plan), plan


def test_behind_a_pooler_that_switches_servers_the_claim_goes_on_unprepared():
    queued()
    claim()
    run("DEALLOCATE ALL")
    queued()
    assert len(claimed()) == 1
    assert said(claim) == ["WITH"]


def test_in_a_transaction_nothing_is_prepared_for_a_refusal_would_take_the_rest_with_it():
    queued()
    claim()
    run("DEALLOCATE ALL")
    queued()
    with transaction.atomic():
        assert len(claimed()) == 1


def test_through_a_pooler_nothing_is_left_in_the_session(monkeypatch):
    monkeypatch.setattr("email_relay.relay.prepared.is_pooled", lambda _: True)
    queued()
    assert len(claimed()) == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('plan_cache_mode'), (SELECT count(*) FROM pg_prepared_statements)")
        assert cursor.fetchone() == ("auto", 0)
        cursor.execute("SELECT count(*) FROM pg_settings WHERE name = 'jit' AND source = 'session'")
        assert cursor.fetchone() == (0,)


def test_where_another_client_of_the_pooler_took_the_name_the_claim_goes_on_unprepared():
    run(f"PREPARE {CLAIM.name} AS SELECT 1")
    queued()
    assert len(claimed()) == 1


def test_a_column_of_another_type_makes_it_go_on_unprepared():
    claim()
    run("ALTER TABLE email_relay_message ALTER COLUMN message_id TYPE text")
    try:
        queued()
        assert len(claimed()) == 1
    finally:
        run("ALTER TABLE email_relay_message ALTER COLUMN message_id TYPE varchar(255)")


def test_with_server_side_binding_it_goes_on_unprepared(monkeypatch):
    if not hasattr(connection.Database, "adapters"):
        pytest.skip("an option of psycopg 3")
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "server_side_binding", True)
    queued()
    assert len(claimed()) == 1
    assert said(claim) == ["WITH"]


def test_any_other_refusal_is_raised():
    with pytest.raises(Exception, match="division by zero"):
        Statement("broken", "SELECT 1 / %(divisor)s::int").rows("default", {"divisor": 0})


def test_other_sql_never_has_the_same_name():
    assert Statement("one", "SELECT 1").name != Statement("one", "SELECT 2").name
