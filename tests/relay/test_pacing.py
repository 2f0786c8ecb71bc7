"""A source with a rate in its policy: its mail waits for its turn, and nobody else's does."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from email_relay.models import Message, Pace, Status
from email_relay.relay.pacing import Pacing
from email_relay.relay.policy import Policies
from email_relay.relay.transport.memory import MemoryTransport
from email_relay.relay.turns import Turns
from tests.relay.rows import ALIAS, ago, claim, queued

pytestmark = pytest.mark.django_db

ONE_A_MINUTE = {"messages_per_minute": 1}


def sent_by_source():
    return Counter(Message.objects.filter(status=Status.SENT).values_list("source", flat=True))


def test_over_its_rate_a_source_waits_unattempted_and_the_others_go_out(run):
    for _ in range(5):
        queued("newsletter")
        queued("shop")
    report = run(SOURCE_POLICIES={"newsletter": ONE_A_MINUTE}, EMPTY_QUEUE_SLEEP=1)
    assert (report.sent, report.failed, report.deferred) == (6, 0, 0)
    assert sent_by_source() == {"shop": 5, "newsletter": 1}
    waiting = Message.objects.filter(source="newsletter", status=Status.QUEUED)
    assert set(waiting.values_list("retry_count", "lapse_count", "log")) == {(0, 0, "")}


def test_its_mail_goes_on_when_the_next_slot_has_come(run):
    for _ in range(2):
        queued("newsletter")
    settings = {"SOURCE_POLICIES": {"newsletter": ONE_A_MINUTE}, "EMPTY_QUEUE_SLEEP": 1}
    assert [run(**settings).sent, run(**settings).sent] == [1, 0]
    Pace.objects.update(next_at=ago(1))
    assert run(**settings).sent == 1


def test_a_drain_waits_for_slots_that_are_near(run):
    """600 a minute: a tenth of a second between two, by the database's own record."""
    for _ in range(4):
        queued("newsletter")
    before = ago(0)
    assert run(SOURCE_POLICIES={"newsletter": {"messages_per_minute": 600}}).sent == 4
    assert (Pace.objects.get().next_at - before).total_seconds() >= 0.4


def test_a_source_that_opened_after_the_claim_passed_it_by_has_its_turn_now():
    """Or the drain would end with its mail due."""
    queued("newsletter")
    Pace.objects.create(source="newsletter", next_at=ago(-60))
    pacing = Pacing(ALIAS, Policies({"newsletter": ONE_A_MINUTE}))
    assert pacing.turns().closed == ("newsletter",)
    assert pacing.seconds_to_turn() > 30
    Pace.objects.update(next_at=ago(1))
    assert pacing.seconds_to_turn() is not None
    assert pacing.turns().closed == ()


def test_a_drain_that_waits_takes_what_comes_for_others(run):
    """The newcomer goes out although the drain has nothing to do but to wait."""
    for _ in range(2):
        queued("newsletter")
    stop = threading.Event()

    transport = MemoryTransport(lambda parcel, to: stop.set() if to == "quick@example.com" else None)
    queued("shop", recipients=["quick@example.com"], due_at=ago(-0.5))
    run(transport, stop=stop, SOURCE_POLICIES={"newsletter": ONE_A_MINUTE}, EMPTY_QUEUE_SLEEP=600)
    assert sent_by_source() == {"shop": 1, "newsletter": 1}


def test_the_rest_is_paced_source_by_source_and_a_named_one_without_a_rate_is_not(run):
    for _ in range(3):
        for source in ("a", "b", "shop"):
            queued(source)
    run(SOURCE_POLICIES={"*": ONE_A_MINUTE, "shop": {"max_bytes": 10**6}}, EMPTY_QUEUE_SLEEP=1)
    assert sent_by_source() == {"a": 1, "b": 1, "shop": 3}


def test_the_relay_that_moves_the_slot_on_has_it_and_the_other_gives_its_message_back():
    first, second = (Pacing(ALIAS, Policies({"shop": ONE_A_MINUTE})) for _ in range(2))
    queued("shop")
    queued("shop")
    mine = claim(turns=first.turns()).messages
    others = claim(turns=second.turns()).messages
    assert (len(mine), len(others)) == (1, 1), "both saw the source open"
    assert first.admit(mine) == (mine, [])
    assert second.admit(others) == ([], others)


def test_a_closed_source_is_passed_by_and_not_leased():
    queued("shop")
    queued("crm")
    assert [message.source for message in claim(turns=Turns(closed=("shop",))).messages] == ["crm"]


def test_without_a_rate_the_database_is_not_asked(django_assert_num_queries):
    pacing = Pacing(ALIAS, Policies({"shop": {"max_bytes": 1}}))
    with django_assert_num_queries(0):
        assert pacing.turns() == Turns()
        assert pacing.seconds_to_turn() is None
        assert pacing.admit([]) == ([], [])


def test_the_nearest_turn_counts_of_a_source_that_has_mail_due():
    for source, seconds in (("early", 60), ("late", 600), ("none", 5), ("not yet", 20)):
        Pace.objects.create(source=source, next_at=ago(-seconds))
    for source in ("late", "early"):
        queued(source)
    queued("not yet", due_at=ago(-3600))
    pacing = Pacing(ALIAS, Policies({"*": ONE_A_MINUTE}))
    assert set(pacing.turns().closed) == {"early", "late", "none", "not yet"}
    assert 50 < pacing.seconds_to_turn() <= 60


def test_a_source_whose_rate_was_taken_away_is_open_at_once():
    Pace.objects.create(source="crm", next_at=ago(-600))
    assert Pacing(ALIAS, Policies({"shop": ONE_A_MINUTE})).turns().closed == ()


def test_a_slot_is_moved_on_by_one_relay_at_a_time():
    queued("shop")
    pacing = Pacing(ALIAS, Policies({"shop": ONE_A_MINUTE}))
    messages = claim(turns=pacing.turns()).messages
    with CaptureQueriesContext(connection) as queries:
        pacing.admit(messages)
    if connection.features.has_select_for_update:
        assert any("FOR UPDATE" in query["sql"] for query in queries)
