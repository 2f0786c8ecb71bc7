"""The turns of ``EMAIL_MAX_BATCH``: one bounded drain at a time over all relays, and a pause after each."""

from __future__ import annotations

import pytest

from email_relay.conf import RelaySettings
from email_relay.models import Server
from email_relay.relay.batches import BatchTurn
from email_relay.relay.transport.memory import MemoryTransport
from tests.relay.rows import ALIAS, SERVER, ago, queued

pytestmark = pytest.mark.django_db


def turn(**settings):
    return BatchTurn(ALIAS, SERVER, RelaySettings(**{"EMAIL_MAX_BATCH": 5, "EMPTY_QUEUE_SLEEP": 30, **settings}))


def seconds_to_go():
    return (Server.objects.get().next_batch_at - ago(0)).total_seconds()


def test_one_at_a_time_and_a_pause_after_it():
    first, second = turn(), turn()
    assert first.begin()
    assert not second.begin()
    first.end(tried=True)
    assert not second.begin()
    assert 20 < seconds_to_go() <= 30
    Server.objects.update(next_batch_at=ago(0))
    assert second.begin()


def test_a_drain_that_tried_nothing_leaves_the_turn_to_the_next():
    """So that an idle poll, or an outage, delays nobody."""
    first = turn()
    assert first.begin()
    first.end(tried=False)
    assert turn().begin()


def test_a_relay_that_died_in_its_turn_holds_it_no_longer_than_a_lease():
    assert turn(LEASE_SECONDS=60).begin()
    assert 50 < seconds_to_go() <= 60


def test_a_turn_is_held_on_to_while_the_drain_goes_on():
    long = turn(LEASE_SECONDS=60)
    assert long.begin()
    Server.objects.update(next_batch_at=ago(-1))
    long.keep()
    assert seconds_to_go() <= 1, "nothing is written while most of the time is left"
    long._held_at -= 30
    long.keep()
    assert seconds_to_go() > 50


def test_a_turn_outlives_the_wait_for_a_slot_of_the_throttle():
    assert turn(LEASE_SECONDS=60, EMAIL_THROTTLE=600).begin()
    assert seconds_to_go() > 1000


def test_without_a_limit_everybody_has_a_turn_and_the_database_is_not_asked(django_assert_num_queries):
    first = turn(EMAIL_MAX_BATCH=None)
    with django_assert_num_queries(0):
        assert first.begin()
        assert turn(EMAIL_MAX_BATCH=None).begin()
        first.keep()
        first.end(tried=True)


def test_a_drain_is_refused_in_the_pause_after_another(run):
    queued()
    report = run(EMAIL_MAX_BATCH=5)
    assert report.sent == 1
    refused = run(EMAIL_MAX_BATCH=5)
    assert (refused.reason, refused.more, refused.total) == ("between two batches", True, 0)
    queued()
    assert run().sent == 1, "a relay without the limit does not care"


def test_p6_an_outage_leaves_the_turn_free(run):
    queued()
    run(MemoryTransport(down="refused"), EMAIL_MAX_BATCH=5)
    Server.objects.update(probe_at=ago(1))
    assert run(EMAIL_MAX_BATCH=5).sent == 1


def test_a_drain_that_broke_leaves_the_turn_free(run, monkeypatch):
    from email_relay.relay import drain

    def claim(*_, **__):
        raise ZeroDivisionError("a bug of ours")

    with monkeypatch.context() as patch:
        patch.setattr(drain.leases, "claim", claim)
        with pytest.raises(ZeroDivisionError):
            run(EMAIL_MAX_BATCH=5)
    queued()
    assert run(EMAIL_MAX_BATCH=5).sent == 1
