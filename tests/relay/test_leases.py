"""Leases: who gets what, in which order, and what becomes of a holder that dies or comes late."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
from django.db import OperationalError, connection

from email_relay.models import Message, Server, Status
from email_relay.relay import bodies, leases
from email_relay.relay.settle import settle
from tests.relay.rows import ALIAS, CONTENT, SERVER, ago, claim, claimed, lapse, legacy, queued, sending

pytestmark = pytest.mark.django_db


def test_a_claim_leases_what_is_due_and_hands_over_all_that_delivering_needs():
    message = queued(
        pending=["b@example.com"], recipients=["a@example.com", "b@example.com"], refused={"a@example.com": "550"}
    )
    [mine] = claimed()
    assert (mine.id, mine.mime, mine.sender) == (message.id, CONTENT, "from@example.com")
    assert mine.owed == ("b@example.com",)
    assert mine.refused == {"a@example.com": "550"}
    message.refresh_from_db()
    assert (message.status, message.worker, message.lease_token) == (Status.SENDING, "me:1", mine.lease.token)


LARGE_BODY = b"Subject: large\r\n\r\n" + bytes(range(256)) * 1024
"""Every byte there is, NUL too."""


@pytest.mark.parametrize("body", [LARGE_BODY, b"PGCOPY\n\xff\r\n\0" * 9000, b"\xff" * 65535, b"\xff" * 65536, b""])
def test_p4_a_body_of_any_size_is_handed_over_byte_for_byte(body):
    queued(mime=body)
    assert [message.mime for message in claimed()] == [body]


def test_p1_a_claim_whose_large_bodies_cannot_be_had_is_given_back_uncharged(monkeypatch):
    message = queued(mime=LARGE_BODY)

    def fetch(*_):
        raise OperationalError("canceling statement due to statement timeout")

    if connection.vendor != "postgresql":
        pytest.skip("elsewhere a claim brings every body")
    monkeypatch.setattr(bodies, "fetch", fetch)
    with pytest.raises(OperationalError):
        claim()
    message.refresh_from_db()
    assert (message.status, message.lapse_count, message.worker) == (Status.QUEUED, 0, None)


def test_p4_large_and_small_bodies_of_one_claim_stay_with_their_messages():
    bodies = [CONTENT, LARGE_BODY, CONTENT + CONTENT, b"PGCOPY\n\xff\r\n\0" * 9000, LARGE_BODY[::-1]]
    wanted = {queued(mime=body).id: body for body in bodies}
    row_of_0x = legacy({"subject": "hello"})
    assert {message.id: message.mime for message in claimed()} == {**wanted, row_of_0x.id: None}


@pytest.mark.parametrize("status", [Status.FAILED, Status.SENT, Status.HELD, Status.CANCELED])
def test_only_what_waits_is_claimed(status):
    ended = {"worker": "w"} if status in (Status.FAILED, Status.SENT) else {}
    queued(status=status, sent_at=ago(0) if status == Status.SENT else None, **ended)
    sending(60)
    assert claimed() == []


def test_what_is_due_later_waits():
    queued(due_at=ago(-60))
    assert claimed() == []


def test_p7_turns_go_to_sources_first():
    """A backlog of one source does not come before the first message of another."""
    for _ in range(20):
        queued("backlog")
    reset = queued("small")
    assert reset.id in [message.id for message in claimed(2)]


def test_p7_within_a_source_the_higher_priority_goes_first_then_the_earlier_due():
    low, late, early, high = (
        queued(priority=1, due_at=ago(900)),
        queued(due_at=ago(10)),
        queued(due_at=ago(500)),
        queued(priority=3, due_at=ago(5)),
    )
    assert [message.id for message in claimed()] == [high.id, early.id, late.id, low.id]


def test_p7_a_low_priority_of_a_quiet_source_comes_before_the_second_of_a_loud_one():
    for _ in range(5):
        queued("loud", priority=3)
    quiet = queued("quiet", priority=1)
    assert quiet.id in [message.id for message in claimed(2)]


def test_p10_a_claim_is_bounded_by_bytes():
    for _ in range(5):
        queued(size=1000)
    assert len(claimed(size=2500)) == 3


def test_p10_a_single_message_may_exceed_the_bytes():
    queued(size=10_000)
    assert len(claimed(size=1000)) == 1


def test_a_claim_is_bounded_by_rows():
    for _ in range(7):
        queued()
    assert [len(claimed(3)), len(claimed(3)), len(claimed(3))] == [3, 3, 1]


def test_p1_a_lapsed_lease_goes_back_and_charges_no_retry():
    message = sending(-1)
    claim()
    assert [mine.id for mine in claimed()] in ([message.id], [])  # by the first claim, or by the second
    message.refresh_from_db()
    assert (message.status, message.worker) == (Status.SENDING, "me:1")
    assert (message.retry_count, message.lapse_count) == (0, 1)


def test_a_claim_says_that_leases_lapsed_which_the_next_one_gets():
    sending(-1)
    first = claim()
    assert first.messages or first.lapsed
    assert first.messages or claimed()


def test_a_lease_that_runs_is_left_alone():
    message = sending(60)
    claim()
    before = (message.lease_token, message.lease_until)
    message.refresh_from_db()
    assert (message.lease_token, message.lease_until) == before


def test_p5_a_suspect_is_tried_alone():
    suspect = queued(lapse_count=leases.SUSPECT_LAPSES)
    sound = [queued().id, queued().id]
    first = claim()
    assert sorted(message.id for message in first.messages) == sound
    assert first.suspects
    second = queued(lapse_count=leases.SUSPECT_LAPSES)
    alone = claim(alone=True)
    assert len(alone.messages) == 1
    assert alone.messages[0].id in (suspect.id, second.id)


def test_p5_alone_takes_nothing_that_is_sound():
    queued()
    assert claimed(alone=True) == []


def test_p5_after_five_lapses_a_message_fails_and_says_so():
    message = sending(-1, lapse_count=leases.FATAL_LAPSES - 1)
    claim()
    message.refresh_from_db()
    assert message.status == Status.FAILED
    assert "died" in message.log
    assert message.lease_token is None


def test_p5_the_lapses_of_one_message_are_counted_to_the_end():
    message = queued()
    for _ in range(leases.FATAL_LAPSES):
        assert [mine.id for mine in claimed() + claimed()] == [message.id]
        lapse()
    claim()
    message.refresh_from_db()
    assert (message.status, message.lapse_count, message.retry_count) == (Status.FAILED, leases.FATAL_LAPSES, 0)


def test_unclaim_gives_back_and_charges_nothing():
    message = queued(retry_count=2)
    due_at = message.due_at
    mine = claimed()
    assert leases.unclaim(ALIAS, mine) == 1
    message.refresh_from_db()
    assert (message.status, message.retry_count, message.lapse_count) == (Status.QUEUED, 2, 0)
    assert (message.worker, message.lease_token, message.due_at) == (None, None, due_at)


def test_p1_a_late_relay_changes_nothing():
    """Fencing: after the lease went to another, neither settling, giving back nor renewing reaches the row."""
    from tests.relay.test_settle import sent

    message = queued()
    [late] = claimed(worker="late:1")
    lapse()
    [other] = claimed(worker="new:1") + claimed(worker="new:1")
    message.refresh_from_db()
    before = {field.name: getattr(message, field.name) for field in Message._meta.fields}
    assert settle(ALIAS, [sent(late)], worker="late:1", server=SERVER) == set()
    assert leases.unclaim(ALIAS, [late]) == 0
    leases.renew(ALIAS, [late.lease])
    message.refresh_from_db()
    assert {field.name: getattr(message, field.name) for field in Message._meta.fields} == before
    assert settle(ALIAS, [sent(other)], worker="new:1", server=SERVER) == {message.id}


def test_renew_extends_the_lease():
    message = queued()
    [mine] = claimed(seconds=5)
    Message.objects.update(lease_until=ago(-1))
    leases.renew(ALIAS, [mine.lease])
    message.refresh_from_db()
    assert message.lease_until > ago(-3)
    assert not mine.lease.over()


def test_p2_a_lease_that_others_took_is_over_once_it_was_to_be_renewed():
    """So that couriers begin nothing more under it."""
    queued()
    [late] = claimed()
    lapse()
    claim(worker="new:1")
    claim(worker="new:1")
    leases.renew(ALIAS, [late.lease])
    assert late.lease.over()


def test_p2_a_lease_that_is_over_is_not_renewed():
    """Though the database has not noticed yet: another relay may take its messages at any moment."""
    queued()
    [mine] = claimed()
    mine.lease.started = time.monotonic() - mine.lease.seconds - 1
    leases.renew(ALIAS, [mine.lease])
    assert mine.lease.over()


def test_p6_while_the_circuit_is_open_nothing_is_taken():
    message = queued()
    Server.objects.create(name=SERVER, opened_at=ago(10), probe_at=ago(-100))
    found = claim()
    assert (found.messages, found.circuit_open, found.probe_due) == ([], True, False)
    message.refresh_from_db()
    assert message.status == Status.QUEUED


def test_p6_the_circuit_of_another_server_does_not_matter():
    queued()
    Server.objects.create(name="other:25", opened_at=ago(10), probe_at=ago(-100))
    assert len(claimed()) == 1


def test_p6_a_probe_is_due_when_its_time_has_come():
    Server.objects.create(name=SERVER, opened_at=ago(10), probe_at=ago(1))
    assert claim().probe_due


@pytest.mark.django_db(transaction=True)
def test_p2_claimers_at_the_same_time_never_share_a_message():
    for number in range(120):
        queued(f"source{number % 3}")
    taken: list[int] = []
    barrier = threading.Barrier(4)

    def work(name: str) -> None:
        try:
            barrier.wait(30)
            for _ in range(200):
                mine = _claimed_patiently(name)
                if not mine and not Message.objects.filter(status=Status.QUEUED).exists():
                    return
                taken.extend(message.id for message in mine)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(f"w:{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Counter(taken) == Counter(Message.objects.values_list("id", flat=True))


def _claimed_patiently(name: str) -> list:
    from django.db import OperationalError

    try:
        return claimed(7, worker=name)
    except OperationalError:  # SQLite and MariaDB may ask a writer to try again
        return []
