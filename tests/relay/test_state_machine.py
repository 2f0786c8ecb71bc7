"""P1 and P3 in any order of events: several relays, an operator and lapsing leases, against the real database.

Nothing waits for the clock here: leases and pauses end because a rule says so.
"""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from email_relay import queue
from email_relay.models import Attempt, Message, Status
from email_relay.relay import leases
from email_relay.relay.outcomes import Judge, failed
from email_relay.relay.outcomes import held as hold
from email_relay.relay.retry import RetryPolicy
from email_relay.relay.settle import settle
from email_relay.relay.transport.base import Delivery, Parcel, Reply
from tests.relay.rows import ALIAS, SERVER, ago, claim, lapse, queued

WORKERS = st.sampled_from(["a:1", "b:2", "c:3"])
CODES = st.lists(st.sampled_from([250, 250, 250, 450, 550, 0]), min_size=3, max_size=3)
VERBS = st.sampled_from([queue.requeue, queue.send_now, queue.cancel, queue.hold, queue.release])
OPEN = (Status.QUEUED, Status.DEFERRED, Status.SENDING, Status.HELD)
JUDGE = Judge(RetryPolicy(max_retries=4), lambda: 0.5)


class Queue(RuleBasedStateMachine):
    """``accepted`` is what the relays recorded as taken by the server, per message and recipient."""

    def __init__(self) -> None:
        super().__init__()
        Attempt.objects.all().delete()
        Message.objects.all().delete()
        self.recipients: dict[int, list[str]] = {}
        self.accepted: dict[int, set[str]] = {}
        self.held: dict[str, list[leases.Leased]] = {"a:1": [], "b:2": [], "c:3": []}

    # what may happen

    @rule(source=st.sampled_from(["shop", "crm"]), priority=st.integers(1, 3), count=st.integers(1, 3))
    def enqueue(self, source, priority, count):
        to = [f"to{n}@example.com" for n in range(count)]
        message = queued(source, priority=priority, recipients=to)
        self.recipients[message.id], self.accepted[message.id] = to, set()

    @rule(worker=WORKERS, rows=st.integers(1, 4), alone=st.booleans())
    def claim(self, worker, rows, alone):
        claimed = claim(rows, worker=worker, alone=alone).messages
        assert len(claimed) <= rows
        suspects = [message for message in claimed if message.lapse_count >= leases.SUSPECT_LAPSES]
        assert not suspects or len(claimed) == 1, "a suspect goes alone (P5)"
        for message in claimed:
            assert not set(message.owed) & self.accepted[message.id], "nobody who accepted is tried again (P3)"
        self.held[worker].extend(claimed)

    @rule(worker=WORKERS, codes=CODES)
    def settle(self, worker, codes):
        """The relay has tried everything it holds, whether its lease still runs or not."""
        held, self.held[worker] = self.held[worker], []
        self._record(worker, held, [self._judged(message, codes) for message in held])

    @rule(worker=WORKERS, untried=st.sampled_from([failed, hold]))
    def judge_untried(self, worker, untried):
        """Expired, unreadable or against a policy: it ends, or waits for an operator, without a word to the server."""
        held, self.held[worker] = self.held[worker], []
        self._record(worker, held, [untried(message, "against the policy") for message in held])

    def _record(self, worker, held, verdicts):
        ours = {m.id for m in held if Message.objects.filter(id=m.id, lease_token=m.lease.token).exists()}
        untouched = self._rows(m.id for m in held if m.id not in ours)
        assert settle(ALIAS, verdicts, worker=worker, server=SERVER) == ours
        assert self._rows(untouched) == untouched, "a late relay changes nothing"
        for verdict in verdicts:
            if verdict.message.id in ours:
                taken = {to for to, reply in verdict.replies.items() if reply.accepted}
                self.accepted[verdict.message.id] |= taken

    @rule(worker=WORKERS)
    def unclaim(self, worker):
        held, self.held[worker] = self.held[worker], []
        counts = dict(Message.objects.values_list("id", "retry_count"))
        leases.unclaim(ALIAS, held)
        assert dict(Message.objects.values_list("id", "retry_count")) == counts

    @rule(worker=WORKERS)
    def renew(self, worker):
        leases.renew(ALIAS, {message.lease.token: message.lease for message in self.held[worker]}.values())

    @rule(worker=WORKERS)
    def lapse(self, worker):
        Message.objects.filter(status=Status.SENDING, worker=worker).update(lease_until=ago(1))

    @rule(worker=WORKERS)
    def die(self, worker):
        self.held[worker] = []
        self.lapse(worker)

    @rule()
    def time_passes(self):
        Message.objects.filter(status=Status.DEFERRED).update(due_at=ago(1))

    @rule(verb=VERBS, which=st.integers(0, 20))
    def operate(self, verb, which):
        ids = sorted(self.recipients)
        if ids:
            verb(Message.objects.filter(id=ids[which % len(ids)]))

    # what always holds

    @invariant()
    def nothing_is_lost(self):
        assert set(Message.objects.values_list("id", flat=True)) == set(self.recipients)

    @invariant()
    def a_lease_exactly_while_sending(self):
        for status, token, until in Message.objects.values_list("status", "lease_token", "lease_until"):
            assert (status == Status.SENDING) == (token is not None) == (until is not None)

    @invariant()
    def every_recipient_is_accounted_for(self):
        for message in Message.objects.filter(status__in=OPEN):
            owed = set(message.recipients if message.pending is None else message.pending)
            assert not owed & self.accepted[message.id]
            assert owed | self.accepted[message.id] | set(message.refused or {}) == set(message.recipients)

    @invariant()
    def the_end_tells_the_truth(self):
        for message in Message.objects.filter(status=Status.SENT):
            assert self.accepted[message.id] == set(message.recipients)
        assert not Message.objects.filter(status=Status.FAILED, log="").exists()
        assert not Message.objects.filter(lapse_count__gt=leases.FATAL_LAPSES).exists()

    def teardown(self):
        """Whatever happened, with all relays dead and the server well everything comes to its end."""
        queue.release(Message.objects.all())
        for _ in range(3 + 3 * len(self.recipients)):
            lapse()
            self.time_passes()
            self.held["a:1"].clear()
            self.claim("a:1", 4, alone=False)
            self.settle("a:1", [250, 250, 250])
        assert not Message.objects.filter(status__in=OPEN).exists()

    def _judged(self, message, codes):
        replies = {to: Reply(code, "said") for to, code in zip(message.owed, codes)}
        parcel = Parcel(message.id, "f@example.com", message.owed, b"")
        return JUDGE.judge(message, Delivery(parcel, replies, next(iter(replies.values()))), datetime.now(timezone.utc))

    def _rows(self, ids):
        return {row["id"]: row for row in Message.objects.filter(id__in=list(ids)).values()}


@pytest.mark.slow
@pytest.mark.django_db
def test_p1_p3_hold_in_any_order_of_events():
    run_state_machine_as_test(
        Queue,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.django_db
def test_p1_p3_hold_in_a_few_orders_of_events():
    run_state_machine_as_test(
        Queue,
        settings=settings(
            max_examples=5,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
