"""From what a server said to what is recorded: pure, so the properties are tried on arbitrary answers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from email_relay.models import Status
from email_relay.relay.outcomes import Judge, failed, outage_within
from email_relay.relay.retry import RetryPolicy
from email_relay.relay.transport.base import NO_REPLY, Delivery, Parcel, Reply
from tests.relay.rows import delivery, leased

NOW = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)
FRESH = NOW - timedelta(minutes=1)
JUDGE = Judge(RetryPolicy(jitter=0), lambda: 0.5)


def judge(message, *, by=JUDGE, now=NOW, **codes):
    return by.judge(message, delivery(message, **codes), now)


def test_p3_sent_when_all_were_accepted():
    verdict = judge(leased(ready_at=FRESH), a=250, b=250)
    assert verdict.status == Status.SENT
    assert verdict.clean


def test_p3_refused_by_all_is_failed_with_the_words():
    verdict = judge(leased(ready_at=FRESH), a=550, b=554)
    assert verdict.status == Status.FAILED
    assert verdict.refused == {"a@example.com": "550 said 550", "b@example.com": "554 said 554"}
    assert verdict.log == "550 said 550"


def test_p3_accepted_and_refused_is_failed_since_nothing_is_owed():
    verdict = judge(leased(ready_at=FRESH), a=250, b=550)
    assert verdict.status == Status.FAILED
    assert verdict.refused == {"b@example.com": "550 said 550"}


def test_p3_only_those_still_owed_are_tried_again():
    verdict = judge(leased(ready_at=FRESH), a=250, b=450)
    assert verdict.status == Status.DEFERRED
    assert verdict.pending == ["b@example.com"]


TOO_MANY = Reply(452, "Error: too many recipients", "4.5.3")


@pytest.mark.parametrize(
    ("reply", "at_once"),
    [
        (TOO_MANY, True),
        (Reply(452, "Too many recipients received"), True),
        (Reply(452, "Mailbox full", "4.2.2"), False),
        (Reply(452, "Insufficient system storage"), False),
        (Reply(451, "Try later", "4.5.3"), False),
    ],
)
def test_recipients_beyond_what_the_server_takes_at_once_are_due_at_once_and_uncharged(reply, at_once):
    message = leased(ready_at=NOW - timedelta(days=9), retry_count=3)
    parcel = Parcel(1, "from@example.com", ("a@example.com", "b@example.com"), b"")
    given = Delivery(parcel, {"a@example.com": Reply(250, "taken"), "b@example.com": reply}, Reply(250, "taken"))
    verdict = JUDGE.judge(message, given, NOW)
    assert (verdict.status, verdict.retry_count, verdict.due_at) == (
        (Status.DEFERRED, 3, NOW) if at_once else (Status.FAILED, 3, None)
    )
    assert verdict.pending == ["b@example.com"]


def test_a_server_that_takes_no_recipient_at_all_is_not_asked_again_at_once():
    message = leased(ready_at=FRESH)
    parcel = Parcel(1, "from@example.com", ("a@example.com",), b"")
    verdict = JUDGE.judge(message, Delivery(parcel, {"a@example.com": TOO_MANY}, TOO_MANY), NOW)
    assert (verdict.status, verdict.retry_count) == (Status.DEFERRED, 1)
    assert verdict.due_at > NOW


def test_p3_while_one_is_owed_a_refusal_does_not_end_the_message():
    verdict = judge(leased(ready_at=FRESH), a=550, b=450)
    assert (verdict.status, verdict.pending) == (Status.DEFERRED, ["b@example.com"])
    assert verdict.refused == {"a@example.com": "550 said 550"}
    assert verdict.log == "450 said 450"


def test_p3_an_earlier_refusal_is_not_forgotten_by_a_later_success():
    message = leased(ready_at=FRESH, pending=["b@example.com"], refused={"a@example.com": "550 who"}, retry_count=1)
    verdict = judge(message, b=250)
    assert verdict.status == Status.FAILED
    assert verdict.refused == {"a@example.com": "550 who"}


def test_a_success_after_a_retry_is_not_clean():
    assert not judge(leased(ready_at=FRESH, retry_count=1), a=250, b=250).clean


def test_p3_a_recipient_the_way_out_did_not_mention_is_still_owed():
    """Silence is no acceptance: neither for one of several nor for all."""
    message = leased(ready_at=FRESH)
    verdict = judge(message, a=250)
    assert (verdict.status, verdict.pending) == (Status.DEFERRED, ["b@example.com"])
    assert "said nothing" in verdict.log
    silent = Delivery(Parcel(1, "f@example.com", message.owed, b""), {}, Reply(250, "Ok"))
    assert JUDGE.judge(message, silent, NOW).pending == ["a@example.com", "b@example.com"]


def test_p3_a_stranger_the_way_out_mentions_changes_nothing():
    verdict = judge(leased(ready_at=FRESH), a=250, b=250, stranger=550)
    assert (verdict.status, verdict.refused) == (Status.SENT, {})
    assert "stranger@example.com" not in verdict.replies


def test_a_lost_link_is_a_deferral():
    assert judge(leased(ready_at=FRESH), a=NO_REPLY, b=NO_REPLY).status == Status.DEFERRED


def test_the_pause_before_the_next_try_grows():
    first, third = judge(leased(ready_at=FRESH), a=450), judge(leased(ready_at=FRESH, retry_count=2), a=450)
    assert (first.due_at - NOW, third.due_at - NOW) == (timedelta(seconds=60), timedelta(seconds=240))


def test_the_next_try_is_no_later_than_the_message_expires():
    expires = NOW + timedelta(seconds=10)
    assert judge(leased(ready_at=FRESH, expires_at=expires), a=450).due_at == expires


def test_after_the_last_retry_it_fails_and_keeps_whom_it_owes():
    verdict = judge(
        leased(ready_at=FRESH, retry_count=3), by=Judge(RetryPolicy(max_retries=3), lambda: 0.5), a=250, b=450
    )
    assert (verdict.status, verdict.pending) == (Status.FAILED, ["b@example.com"])
    assert "3 retries" in verdict.log
    assert "450" in verdict.log


def test_after_its_lifetime_it_fails():
    assert judge(leased(ready_at=NOW - timedelta(days=6)), a=450).status == Status.FAILED


def test_p6_the_lifetime_stands_still_during_an_outage():
    outage = (NOW - timedelta(days=5), NOW - timedelta(days=1))
    by = Judge(RetryPolicy(), lambda: 0.5, (outage,))
    assert judge(leased(ready_at=NOW - timedelta(days=6)), by=by, a=450).status == Status.DEFERRED


def test_p6_only_the_part_of_an_outage_within_the_life_counts():
    outage = (NOW - timedelta(days=9), NOW - timedelta(days=5))
    assert outage_within((outage,), NOW - timedelta(days=6), NOW) == timedelta(days=1)
    assert outage_within((outage,), NOW - timedelta(days=4), NOW) == timedelta(0)


def test_failed_without_an_attempt_changes_no_recipient():
    message = leased(pending=["b@example.com"], refused={"a@example.com": "550"})
    verdict = failed(message, "expired")
    assert (verdict.status, verdict.pending, verdict.refused) == (Status.FAILED, ["b@example.com"], message.refused)
    assert not verdict.attempted


names = st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True).map(lambda found: [f"{n}@x.org" for n in found])
codes = st.sampled_from([NO_REPLY, 250, 251, 354, 421, 450, 452, 550, 552, 554])


@st.composite
def tries(draw):
    """A message, its recipients, and the codes they are told in one attempt after the other."""
    to = draw(names)
    return to, draw(st.lists(st.lists(codes, min_size=len(to), max_size=len(to)), min_size=1, max_size=6))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(tries())
def test_p3_each_recipient_is_accepted_or_refused_once_and_asked_no_more(given_tries):
    """Attempt after attempt: who was answered for good is never asked again, and the end tells the truth about all."""
    to, answers = given_tries
    message, accepted, refused = leased(recipients=to, ready_at=FRESH), set(), set()
    for answer in answers:
        owed = message.owed
        assert not set(owed) & (accepted | refused)
        replies = {address: Reply(code, "x") for address, code in zip(to, answer) if address in owed}
        accepted |= {address for address, reply in replies.items() if reply.accepted}
        refused |= {address for address, reply in replies.items() if reply.permanent}
        given_delivery = Delivery(Parcel(1, "f@x.org", owed, b""), replies, replies[owed[-1]])
        verdict = JUDGE.judge(message, given_delivery, NOW)
        assert set(verdict.refused) == refused
        if verdict.status == Status.DEFERRED:
            assert set(verdict.pending) == set(to) - accepted - refused
            assert verdict.due_at > NOW
            message = leased(
                recipients=to,
                ready_at=FRESH,
                pending=verdict.pending,
                refused=verdict.refused,
                retry_count=verdict.retry_count,
            )
            continue
        assert accepted | refused == set(to)
        assert verdict.status == (Status.FAILED if refused else Status.SENT)
        return


@pytest.mark.parametrize("code", [250, 550, 450, NO_REPLY])
def test_the_judgement_counts_a_retry_only_for_a_deferral(code):
    verdict = judge(leased(ready_at=FRESH, retry_count=4), a=code, b=code)
    assert verdict.retry_count == (5 if verdict.status == Status.DEFERRED else 4)
