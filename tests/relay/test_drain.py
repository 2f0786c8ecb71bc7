"""Drains of the whole engine over a real database and a scripted way out."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import OperationalError

from email_relay.exceptions import ServerUnavailable, SessionEnded
from email_relay.models import Attempt, Message, Server, Status, Suppression, Worker
from email_relay.queue import release
from email_relay.relay import allowance, dispatch, keeping, leases, throttle
from email_relay.relay import drain as drain_module
from email_relay.relay.dispatch import Courier, Dispatcher, Returned
from email_relay.relay.drain import CIRCUIT_OPEN, drain
from email_relay.relay.hand import Hand
from email_relay.relay.transport.base import Reply
from email_relay.relay.transport.memory import MemorySession, MemoryTransport
from tests.relay.rows import ALIAS, ago, legacy, queued, sending

pytestmark = pytest.mark.django_db


def states():
    return Counter(Status(status).name for status in Message.objects.values_list("status", flat=True))


def recipients(messages):
    return Counter(to for message in messages for to in message.recipients)


def answering(**codes):
    """A server with a code for each local part; 250 for the rest."""

    def script(parcel, to):
        code = codes.get(to.partition("@")[0])
        return Reply(code, f"said {code}") if code else None

    return MemoryTransport(script)


def test_p1_everything_due_is_sent_once(run):
    messages = [queued(f"source{n % 3}") for n in range(150)]
    transport = MemoryTransport()
    report = run(transport)
    assert (report.sent, report.reason, report.more) == (150, "nothing due", False)
    assert Counter(transport.accepted()) == recipients(messages)
    assert states() == {"SENT": 150}


def test_p4_the_bytes_of_the_row_go_out(run):
    queued(mime=b"Subject: x\r\n\r\n.dot\r\nbare\nlf \xff\r\n")
    transport = MemoryTransport()
    run(transport)
    assert transport.delivered[0].parcel.content == b"Subject: x\r\n\r\n.dot\r\nbare\nlf \xff\r\n"


def test_an_empty_queue_costs_one_claim_and_no_connection(run, django_assert_max_num_queries):
    transport = MemoryTransport()
    with django_assert_max_num_queries(20):
        report = run(transport)
    assert (report.total, transport.connects) == (0, 0)


def test_p1_lapsed_messages_are_sent_by_the_same_drain(run):
    """No second poll is needed for what a dead relay left behind."""
    sending(-1)
    assert run().sent == 1


def test_p3_a_mixed_fate(run):
    queued(recipients=["a@example.com", "b@example.com", "c@example.com"])
    run(answering(b=550, c=450))
    message = Message.objects.get()
    assert (message.status, message.pending) == (Status.DEFERRED, ["c@example.com"])
    assert message.refused == {"b@example.com": "550 said 550"}
    Message.objects.update(due_at=ago(1))
    again = MemoryTransport()
    run(again)
    message.refresh_from_db()
    assert again.accepted() == ["c@example.com"]
    assert (message.status, list(message.refused)) == (Status.FAILED, ["b@example.com"])
    assert Attempt.objects.count() == 2


def test_p6_an_outage_costs_no_attempt_and_the_drain_comes_back_by_itself(run):
    for _ in range(5):
        queued()
    down = MemoryTransport(down="connection refused")
    report = run(down)
    assert (report.sent, report.deferred, report.failed, report.reason) == (0, 0, 0, CIRCUIT_OPEN)
    assert states() == {"QUEUED": 5}
    assert set(Message.objects.values_list("retry_count", "lapse_count")) == {(0, 0)}
    server = Server.objects.get()
    assert (server.failures, server.last_error) == (1, "connection refused")
    assert run(MemoryTransport()).reason == CIRCUIT_OPEN, "before the probe is due nobody connects"
    Server.objects.update(probe_at=ago(1))
    assert run(MemoryTransport()).sent == 5
    server.refresh_from_db()
    assert (server.opened_at, server.probe_at, server.failures) == (None, None, 0)
    assert len(server.outages) == 1


def test_p6_a_probe_that_fails_touches_no_message_and_waits_longer(run):
    queued()
    run(MemoryTransport(down="refused"))
    first = Server.objects.get()
    Server.objects.update(probe_at=ago(1))
    transport = MemoryTransport(down="refused")
    assert run(transport).reason == CIRCUIT_OPEN
    second = Server.objects.get()
    assert (transport.connects, second.failures, second.opened_at) == (1, 2, first.opened_at)
    assert second.probe_at - second.updated_at > first.probe_at - first.updated_at
    assert set(Message.objects.values_list("status", "retry_count")) == {(Status.QUEUED, 0)}


def test_p6_the_lifetime_of_a_message_stood_still_while_the_server_was_away(run):
    day = 24 * 60 * 60
    queued(ready_at=ago(6 * day))
    Server.objects.create(name="memory:25", outages=[[ago(5 * day).isoformat(), ago(day).isoformat()]])
    assert run(MemoryTransport(lambda *_: Reply(451, "later"))).deferred == 1


def test_p6_one_relay_at_a_time_probes(run):
    """While it does, another that sees the probe due as well leaves the server alone."""
    queued()
    run(MemoryTransport(down="refused"))
    Server.objects.update(probe_at=ago(1))
    other, reasons = MemoryTransport(), []

    class Probing(MemoryTransport):
        def connect(self):
            if not self.connects:
                reasons.append(run(other).reason)
            return super().connect()

    assert run(Probing()).sent == 1
    assert (reasons, other.connects) == ([CIRCUIT_OPEN], 0)


def test_p6_sessions_that_meet_the_same_trouble_count_as_one_failure(engines):
    for _ in range(8):
        queued()
    together = threading.Barrier(4)

    class Down(MemoryTransport):
        def connect(self):
            together.wait(60)
            raise ServerUnavailable("refused")

    relay = engines(Down(), SMTP_MAX_SESSIONS=4)
    relay.dispatcher.observe(1.0)
    assert drain(engine=relay).reason == CIRCUIT_OPEN
    assert Server.objects.get().failures == 1
    assert states() == {"QUEUED": 8}


def test_p6_a_way_out_that_raises_anything_at_a_probe_keeps_the_circuit_open(run):
    class Broken(MemoryTransport):
        def connect(self):
            raise RuntimeError("certificate file is gone")

    queued()
    assert run(Broken()).reason == CIRCUIT_OPEN
    Server.objects.update(probe_at=ago(1))
    assert run(Broken()).reason == CIRCUIT_OPEN
    assert states() == {"QUEUED": 1}


def test_p6_what_was_sent_before_the_outage_is_recorded(run):
    for _ in range(4):
        queued()

    class Dying(MemoryTransport):
        def connect(self):
            if len(self.delivered) >= 2:
                self.down = "refused"
            return super().connect()

    report = run(Dying(session_limit=2), SMTP_MAX_SESSIONS=1)
    assert (report.sent, report.reason) == (2, CIRCUIT_OPEN)
    assert states() == {"SENT": 2, "QUEUED": 2}


def test_p5_a_row_that_cannot_be_read_fails_alone(run):
    good = [queued(), queued()]
    bad = [
        legacy(["not a payload"]),
        legacy({"subject": "x", "to": 7}),
        legacy({"subject": "x", "from_email": "a@b.c", "to": []}),
        queued(recipients=None),
        queued(recipients=[None, 3]),
        queued(mime=None),
    ]
    assert run().sent == 2
    assert set(Message.objects.filter(status=Status.SENT).values_list("id", flat=True)) == {m.id for m in good}
    assert set(Message.objects.filter(status=Status.FAILED).values_list("id", flat=True)) == {m.id for m in bad}
    assert all(Message.objects.filter(status=Status.FAILED).values_list("log", flat=True))


def test_p5_a_renderer_that_raises_anything_fails_one_message(run, monkeypatch):
    from email_relay.relay import gate

    def content_of(message):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(gate, "content_of", content_of)
    legacy({"subject": "x", "from_email": "a@b.c", "to": ["x@y.z"]})
    queued()
    report = run()
    assert (report.sent, report.failed) == (1, 1)


def test_p9_a_row_of_an_0x_client_is_delivered(run):
    legacy(
        {
            "subject": "Grüße",
            "body": "hi",
            "from_email": "Me <me@example.com>",
            "to": ["you@example.com"],
            "cc": ["cc@example.com"],
        }
    )
    transport = MemoryTransport()
    assert run(transport).sent == 1
    assert transport.accepted() == ["you@example.com", "cc@example.com"]
    assert transport.delivered[0].parcel.sender == "me@example.com"


def test_an_expired_message_fails_untried(run):
    queued(expires_at=ago(1))
    transport = MemoryTransport()
    assert run(transport).failed == 1
    assert transport.delivered == []
    assert "Expired" in Message.objects.get().log


def test_a_suppressed_recipient_is_refused_and_the_others_go_out(run):
    Suppression.objects.create(pattern="stop@example.com")
    Suppression.objects.create(pattern="@blocked.example")
    queued(recipients=["go@example.com", "Stop@Example.com", "who@blocked.example"])
    transport = MemoryTransport()
    run(transport)
    assert transport.accepted() == ["go@example.com"]
    message = Message.objects.get()
    assert message.status == Status.FAILED
    assert sorted(message.refused) == ["Stop@Example.com", "who@blocked.example"]


def test_suppression_holds_for_rows_of_0x_clients_too(run):
    Suppression.objects.create(pattern="stop@example.com")
    legacy({"subject": "x", "from_email": "a@example.com", "to": ["stop@example.com"]})
    transport = MemoryTransport()
    run(transport)
    assert transport.delivered == []
    assert Message.objects.get().status == Status.FAILED


def test_a_suppression_that_has_expired_stops_nobody(run):
    Suppression.objects.create(pattern="stop@example.com", expires_at=ago(1))
    queued(recipients=["stop@example.com"])
    assert run().sent == 1


def test_a_policy_is_kept(run):
    queued("shop", recipients=["out@elsewhere.example"])
    queued("crm", recipients=["out@elsewhere.example"])
    report = run(SOURCE_POLICIES={"shop": {"recipient_domains": ["example.com"]}})
    assert (report.sent, report.failed) == (1, 1)
    assert "policy" in Message.objects.get(source="shop").log


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"senders": ["@shop.example"]}, "this sender is not allowed"),
        ({"recipient_domains": ["example.com"]}, "a recipient's domain is not allowed"),
        ({"max_recipients": 1}, "more than 1 recipients"),
        ({"max_bytes": 10}, "larger than 10 bytes"),
    ],
)
def test_what_is_outside_the_policy_is_held_if_so_chosen_and_says_why(run, caplog, limit, reason):
    queued("shop", recipients=["a@example.com", "b@elsewhere.example"])
    transport = MemoryTransport()
    report = run(transport, SOURCE_POLICIES={"shop": {**limit, "on_violation": "hold"}})
    assert (report.held, report.failed, transport.delivered) == (1, 0, [])
    message = Message.objects.get()
    assert (message.status, message.worker, message.lease_token) == (Status.HELD, None, None)
    assert reason in message.log
    assert f"held id={message.id} source=shop" in caplog.text
    assert reason in caplog.text


def test_a_held_message_goes_out_once_the_policy_allows_it_and_it_is_released(run):
    queued("shop")
    policies = {"shop": {"senders": ["@shop.example"], "on_violation": "hold"}}
    run(SOURCE_POLICIES=policies)
    release(Message.objects.all())
    assert run(SOURCE_POLICIES=policies).held == 1
    release(Message.objects.all())
    assert run().sent == 1


def test_email_max_batch_bounds_a_drain(run):
    for _ in range(10):
        queued()
    transport = MemoryTransport()
    report = run(transport, EMAIL_MAX_BATCH=4)
    assert (report.sent, report.more, report.reason) == (4, True, "EMAIL_MAX_BATCH reached")
    assert len(transport.delivered) == 4
    assert states() == {"SENT": 4, "QUEUED": 6}


def test_email_max_batch_larger_than_a_claim_is_reached_exactly(run):
    for _ in range(150):
        queued()
    assert run(EMAIL_MAX_BATCH=130).sent == 130


def test_a_long_drain_under_email_max_batch_holds_on_to_its_turn(run, monkeypatch):
    queued()
    gate, seen = threading.Event(), []

    def extended():
        seen.append(Server.objects.get().next_batch_at)
        return seen[-1] > seen[0]

    after_some_turns(monkeypatch, gate.set, extended)
    threading.Timer(20, gate.set).start()  # or the test would wait for long
    assert run(MemoryTransport(gate=gate), EMAIL_MAX_BATCH=5, LEASE_SECONDS=2).sent == 1
    assert seen[-1] > seen[0]


def test_email_max_deferred_ends_a_drain(run):
    for n in range(40):
        queued(recipients=[f"to{n}@example.com"])
    later = MemoryTransport(lambda parcel, to: Reply(451, "later"))
    report = run(later, EMAIL_MAX_DEFERRED=3, SMTP_MAX_SESSIONS=1, CLAIM_MAX_ROWS=1)
    assert (report.deferred, report.more, report.reason) == (3, True, "EMAIL_MAX_DEFERRED reached")
    assert states() == {"DEFERRED": 3, "QUEUED": 37}


def test_email_max_deferred_holds_under_a_batch_limit_too(run, monkeypatch):
    """What the limit of the batch let in still comes back, and the reason is the one that ended the drain."""
    for _ in range(40):
        queued()
    closed, turns, close = threading.Event(), itertools.count(1), drain_module.Drain._close

    def script(parcel, to):
        if next(turns) > 3:
            closed.wait(60)
        return Reply(451, "later")

    def close_and_tell(self, *arguments, **options):
        close(self, *arguments, **options)
        closed.set()

    monkeypatch.setattr(drain_module.Drain, "_close", close_and_tell)
    later = MemoryTransport(script)
    report = run(later, EMAIL_MAX_DEFERRED=3, EMAIL_MAX_BATCH=40, SMTP_MAX_SESSIONS=1, CLAIM_MAX_ROWS=40)
    assert (report.more, report.reason) == (True, "EMAIL_MAX_DEFERRED reached")
    assert 3 <= report.deferred == len(later.delivered) < 40
    assert states() == {"DEFERRED": report.deferred, "QUEUED": 40 - report.deferred}


def test_p6_an_outage_under_a_batch_limit_ends_the_drain_as_one(run):
    for _ in range(4):
        queued()
    report = run(MemoryTransport(down="refused"), EMAIL_MAX_BATCH=4)
    assert (report.reason, report.more) == (CIRCUIT_OPEN, False)
    assert states() == {"QUEUED": 4}


def test_the_throttle_hands_out_a_slot_for_each_message(run):
    for _ in range(3):
        queued()
    before = ago(0)
    assert run(EMAIL_THROTTLE=0.1).sent == 3
    assert (Server.objects.get().next_slot_at - before).total_seconds() >= 0.3
    sent_at = sorted(Message.objects.values_list("sent_at", flat=True))
    assert (sent_at[-1] - before).total_seconds() >= 0.15


def test_messages_per_minute_is_a_throttle(run):
    queued()
    before = ago(0)
    stop = threading.Event()

    def first_only(parcel, to):
        stop.set()

    run(MemoryTransport(first_only), stop=stop, MESSAGES_PER_MINUTE=6)
    assert (Server.objects.get().next_slot_at - before).total_seconds() >= 10


def test_an_idle_poll_takes_no_slot_of_the_throttle(run):
    """A newcomer would wait for every idle relay that looked."""
    for _ in range(3):
        run(EMAIL_THROTTLE=60)
    assert not Server.objects.filter(next_slot_at__isnull=False).exists()
    queued()
    assert run(EMAIL_THROTTLE=60).sent == 1


def test_a_slot_in_which_another_relay_was_quicker_is_given_back(run, monkeypatch):
    monkeypatch.setattr(drain_module, "oldest_due_age", lambda _: next(looks, None))
    looks = iter([timedelta(seconds=1)])
    before = ago(0)
    assert run(EMAIL_THROTTLE=60).total == 0
    assert Server.objects.get().next_slot_at < before + timedelta(seconds=50)


def test_a_slot_is_given_back_by_a_relay_that_is_stopped_while_it_waits(run):
    queued()
    slot = ago(-3600)
    Server.objects.create(name="memory:25", next_slot_at=slot)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    assert run(stop=stop, EMAIL_THROTTLE=60).reason == "stopped"
    assert Server.objects.get().next_slot_at == slot
    assert states() == {"QUEUED": 1}


def test_a_slot_behind_which_another_relay_waits_is_not_given_back():
    """The other's slot would be handed out twice."""
    first = throttle.reserve(ALIAS, "memory:25", 60)
    second = throttle.reserve(ALIAS, "memory:25", 60)
    throttle.give_back(ALIAS, "memory:25", first)
    assert Server.objects.get().next_slot_at == second.next_at
    throttle.give_back(ALIAS, "memory:25", second)
    assert Server.objects.get().next_slot_at == second.at == first.next_at


def test_p1_a_throttled_relay_takes_over_what_has_lapsed(run):
    sending(-1)
    assert run(EMAIL_THROTTLE=0.01).sent == 1


def test_p6_a_throttled_relay_probes_with_nothing_due(run):
    """Or the heartbeat would be withheld until the next mail comes."""
    Server.objects.create(name="memory:25", opened_at=ago(9), probe_at=ago(1))
    run(EMAIL_THROTTLE=0.01)
    assert Server.objects.get().opened_at is None


def test_p2_stopped_it_finishes_what_has_begun_and_gives_the_rest_back(engines, monkeypatch):
    for _ in range(20):
        queued()
    stop, transport = threading.Event(), MemoryTransport(gate=threading.Event())
    _stop_in_mid_delivery(monkeypatch, transport, stop)
    report = drain(stop, engine=engines(transport, SMTP_MAX_SESSIONS=1))
    assert (report.sent, report.reason) == (len(transport.delivered), "stopped")
    assert states() == {"SENT": report.sent, "QUEUED": 20 - report.sent}
    assert report.sent < 20


def test_p2_stopped_under_a_batch_limit_it_gives_back_as_well(engines, monkeypatch):
    for _ in range(20):
        queued()
    stop, transport = threading.Event(), MemoryTransport(gate=threading.Event())
    _stop_in_mid_delivery(monkeypatch, transport, stop)
    report = drain(stop, engine=engines(transport, SMTP_MAX_SESSIONS=1, EMAIL_MAX_BATCH=20))
    assert 1 <= report.sent == len(transport.delivered) < 20
    assert states() == {"SENT": report.sent, "QUEUED": 20 - report.sent}


def _stop_in_mid_delivery(monkeypatch, transport, stop):
    """Stop while the first delivery is under way, which goes on once the drain has taken back the rest."""
    taken_back, original = threading.Event(), drain_module.Drain._take_back

    def take_back(self):
        original(self)
        if self.stop.is_set():
            taken_back.set()

    def work():
        transport.waiting.wait(60)
        stop.set()
        taken_back.wait(60)
        transport.gate.set()

    monkeypatch.setattr(drain_module.Drain, "_take_back", take_back)
    threading.Thread(target=work, daemon=True).start()


def test_p5_a_suspect_goes_alone_and_its_neighbours_are_recorded_before(run, monkeypatch):
    """When the suspect is offered, nothing else is in hand: if it kills the relay, nobody is doubled."""
    suspect = queued(lapse_count=leases.SUSPECT_LAPSES, recipients=["suspect@example.com"])
    for _ in range(10):
        queued()
    sending_then = []
    original = leases.claim

    def claim(*arguments, **options):
        found = original(*arguments, **options)
        if any(message.id == suspect.id for message in found.messages):
            sending_then.append((len(found.messages), states()["SENDING"]))
        return found

    transport = MemoryTransport(gate=threading.Event())
    monkeypatch.setattr(leases, "claim", claim)
    after_some_turns(monkeypatch, transport.gate.set)
    assert run(transport).sent == 11
    assert sending_then == [(1, 1)]


def after_some_turns(monkeypatch, act, counting=lambda: True):
    """In the drain's own thread, once it has had its chances to claim while something is out."""
    report, turns = Dispatcher.report, itertools.count(1)

    def slow_report(self, timeout):
        if counting() and next(turns) == 4:
            act()
        return report(self, timeout)

    monkeypatch.setattr(Dispatcher, "report", slow_report)


def test_p5_nothing_is_claimed_while_a_suspect_is_out(run, monkeypatch):
    """What was claimed beside it would lose its lease with it."""
    queued(lapse_count=leases.SUSPECT_LAPSES, recipients=["suspect@example.com"])
    queued()
    gate, out, beside, claim = threading.Event(), threading.Event(), [], leases.claim

    def script(parcel, to):
        if to == "suspect@example.com":
            out.set()
            gate.wait(60)

    def claiming(*arguments, **options):
        if out.is_set() and not gate.is_set():
            beside.append(options)
        return claim(*arguments, **options)

    monkeypatch.setattr(leases, "claim", claiming)
    after_some_turns(monkeypatch, gate.set, out.is_set)
    assert run(MemoryTransport(script)).sent == 2
    assert beside == []


def test_p5_a_suspect_that_another_relay_took_does_not_end_the_drain(run, monkeypatch):
    suspect, original = queued(lapse_count=leases.SUSPECT_LAPSES), leases.claim
    queued()

    def claim(*arguments, alone, **options):
        if alone:
            Message.objects.filter(id=suspect.id).update(
                status=Status.SENDING, lease_token="x" * 32, lease_until=ago(-60), worker="other:1"
            )
            queued()
        return original(*arguments, alone=alone, **options)

    monkeypatch.setattr(leases, "claim", claim)
    assert run().sent == 2


def test_what_comes_while_the_last_message_is_out_goes_in_the_same_drain(run, monkeypatch):
    queued()
    transport = MemoryTransport(gate=threading.Event())

    def act():
        queued()
        transport.gate.set()

    after_some_turns(monkeypatch, act)
    assert run(transport).sent == 2


def test_p7_a_newcomer_goes_out_before_what_is_already_in_hand_of_others(run, monkeypatch):
    for _ in range(150):
        queued("newsletter")
    turns, claimed, take = itertools.count(1), threading.Event(), Hand.take

    def hold_until_the_newcomer_is_claimed(_parcel, _to):
        if next(turns) == 40:
            claimed.wait(60)

    def notice(hand, passages):
        take(hand, passages)
        if "shop" in hand.sources():
            claimed.set()

    transport = MemoryTransport(hold_until_the_newcomer_is_claimed, gate=threading.Event())

    def act():
        queued("shop", recipients=["reset@example.com"])
        transport.gate.set()

    monkeypatch.setattr(Hand, "take", notice)
    after_some_turns(monkeypatch, act)
    assert run(transport).sent == 151
    assert transport.accepted().index("reset@example.com") < 50, "64 were in hand"


def test_p5_a_suspect_is_not_starved_by_mail_that_keeps_coming(run, monkeypatch):
    queued(lapse_count=leases.SUSPECT_LAPSES, recipients=["suspect@example.com"])
    coming, original = iter(range(30)), leases.claim

    def claim(*arguments, **options):
        if next(coming, None) is not None:
            queued()
        return original(*arguments, **options)

    monkeypatch.setattr(leases, "claim", claim)
    transport = MemoryTransport()
    run(transport)
    assert transport.accepted().index("suspect@example.com") < 15


def test_p5_several_suspects_go_one_after_the_other(run):
    for _ in range(4):
        queued(lapse_count=leases.SUSPECT_LAPSES)
    assert run().sent == 4


def test_p1_a_claim_that_cannot_be_sifted_is_given_back(engines, monkeypatch):
    queued()

    def sift(*_):
        raise OperationalError("the table is locked")

    monkeypatch.setattr(drain_module, "sift", sift)
    with pytest.raises(OperationalError):
        drain(engine=engines())
    assert set(Message.objects.values_list("status", "lapse_count")) == {(Status.QUEUED, 0)}


def without_closing(monkeypatch):
    """The test's transaction would end with its connection."""

    class Connections:
        def __getitem__(self, alias):
            return self

        def close(self):
            pass

    monkeypatch.setattr(drain_module, "connections", Connections())
    monkeypatch.setattr(drain_module, "RECONNECT_SECONDS", (0.01, 0.02))


def test_p1_verdicts_are_kept_through_database_trouble(engines, monkeypatch):
    """A deadlock while settling: tried again until written, and nothing is sent twice."""
    for _ in range(5):
        queued()
    original, troubles = keeping.settle, iter([True, True])

    def settle(*arguments, **options):
        if next(troubles, False):
            raise OperationalError("deadlock detected")
        return original(*arguments, **options)

    monkeypatch.setattr(keeping, "settle", settle)
    without_closing(monkeypatch)
    transport = MemoryTransport()
    with pytest.raises(OperationalError):
        drain(engine=engines(transport))
    assert states()["SENDING"] == 0
    assert states()["SENT"] == len(transport.delivered)


def test_p1_without_a_thread_for_a_session_everything_is_given_back(run, monkeypatch):
    def start(self):
        raise RuntimeError("can't start new thread")

    queued()
    monkeypatch.setattr(Courier, "start", start)
    report = run()
    assert (report.returned, report.more, report.reason) == (1, True, "no thread for a session")
    assert set(Message.objects.values_list("status", "lapse_count")) == {(Status.QUEUED, 0)}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_p1_a_courier_that_dies_with_a_message_holds_up_nobody(run, monkeypatch):
    """Whether that message went out nobody knows: it waits for its lease to end, the others go out."""
    monkeypatch.setattr(dispatch, "LINGER_SECONDS", 0.1)
    bad = queued(recipients=["bad@example.com"], priority=3)
    others = [queued(), queued()]

    def script(parcel, to):
        if to == "bad@example.com":
            raise SystemExit

    transport = MemoryTransport(script)
    assert run(transport, SMTP_MAX_SESSIONS=1).sent == 2
    assert Counter(transport.accepted()) == recipients(others)
    assert Message.objects.get(id=bad.id).status == Status.SENDING


def test_p1_what_was_never_handed_over_does_not_hold_up_the_end(engines, monkeypatch):
    """Something is raised between taking the messages in hand and handing them to the couriers."""

    def submit(self, jobs):
        raise MemoryError

    queued()
    monkeypatch.setattr(Dispatcher, "submit", submit)
    with pytest.raises(MemoryError):
        drain(engine=engines())
    assert Message.objects.get().status == Status.SENDING


def test_p2_what_a_broken_drain_let_go_is_not_begun_for_the_next(engines, monkeypatch):
    """The second message was taken by a session that ended after the drain: no later drain would record it."""
    first, second = queued(priority=3), queued()
    going_on = threading.Event()

    class Session(MemorySession):
        def deliver(self, parcels):
            for parcel in list(parcels)[:1]:
                yield from super().deliver([parcel])
                assert going_on.wait(60)
                raise SessionEnded("enough")

    class Transport(MemoryTransport):
        def connect(self):
            return Session(self)

    def judge(*_):
        raise ZeroDivisionError("a bug of ours")

    def finish(_):
        raise ZeroDivisionError("the same bug")

    monkeypatch.setattr(drain_module.Judge, "judge", judge)
    monkeypatch.setattr(drain_module.Drain, "_finish", finish)
    engine = engines(Transport(), SMTP_MAX_SESSIONS=1)
    with pytest.raises(ZeroDivisionError):
        drain(engine=engine)
    going_on.set()
    assert isinstance(engine.dispatcher.report(60), Returned)
    assert engine.dispatcher.transport.accepted() == first.recipients
    assert Message.objects.get(id=second.id).status == Status.SENDING


def test_p2_a_database_that_is_away_for_longer_than_the_leases_ends_the_drain(run, monkeypatch, caplog):
    """Other relays have the messages by then; what this one knows is nothing it may record."""

    def settle(*_, **__):
        raise OperationalError("the server closed the connection")

    queued()
    monkeypatch.setattr(keeping, "settle", settle)
    without_closing(monkeypatch)
    with pytest.raises(OperationalError):
        run(LEASE_SECONDS=2)
    assert "leases lost while the database was away: 1 verdicts not recorded" in caplog.text
    assert states() == {"SENDING": 1}


class LockNotAvailable(Exception):
    sqlstate = "55P03"


def test_p2_a_lock_held_for_longer_than_the_leases_doubles_nothing(run, monkeypatch):
    """It keeps out the other relays as well: what was sent is recorded once the lock is gone."""
    original, waits = keeping.settle, itertools.count(1)

    def settle(alias, verdicts, **options):
        if next(waits) <= 3:
            verdicts[0].message.lease.give_up()
            raise OperationalError("canceling statement due to lock timeout") from LockNotAvailable()
        return original(alias, verdicts, **options)

    queued()
    monkeypatch.setattr(keeping, "settle", settle)
    transport = MemoryTransport()
    with pytest.raises(OperationalError):
        run(transport)
    assert states() == {"SENT": 1}


def test_a_relay_that_claims_is_busy_and_need_not_be_notified(run):
    queued()
    Worker.objects.create(name="me:1", started_at=ago(9), seen_at=ago(9), idle_until=ago(-90))
    run()
    worker = Worker.objects.get()
    assert (worker.busy, worker.idle_until) == (True, None)


def test_p1_an_engine_is_used_again_after_a_drain_that_broke(engines, monkeypatch):
    """Reports of the drain before are nobody's."""
    for _ in range(5):
        queued()
    engine = engines(MemoryTransport())
    with monkeypatch.context() as patch:

        def judge(*_):
            raise ZeroDivisionError("a bug of ours")

        patch.setattr(drain_module.Judge, "judge", judge)
        with pytest.raises(ZeroDivisionError):
            drain(engine=engine)
    Message.objects.filter(status=Status.SENDING).update(lease_until=ago(1))
    drain(engine=engine)
    assert states() == {"SENT": 5}


def test_p2_a_message_another_relay_took_over_is_not_recorded(run, monkeypatch, caplog):
    message = queued()
    original = keeping.settle

    def settle(*arguments, **options):
        Message.objects.filter(id=message.id).update(lease_token="x" * 32)
        return original(*arguments, **options)

    monkeypatch.setattr(keeping, "settle", settle)
    report = run()
    message.refresh_from_db()
    assert (report.sent, message.status, message.sent_at) == (0, Status.SENDING, None)
    assert "lease lost" in caplog.text


def test_a_backlog_is_announced_once(engines):
    for _ in range(200):
        queued()
    calls = []
    drain(engine=engines(), on_backlog=lambda: calls.append(1))
    assert calls == [1]


def test_a_short_queue_announces_nothing(engines):
    queued()
    calls = []
    drain(engine=engines(), on_backlog=lambda: calls.append(1))
    assert calls == []


def test_sessions_over_all_relays_are_bounded(engines):
    queued()
    Worker.objects.create(name="other:1", started_at=ago(9), seen_at=ago(9), sessions=3)
    engine = engines(SMTP_MAX_SESSIONS_TOTAL=5, SMTP_MAX_SESSIONS=16)
    assert drain(engine=engine).sent == 1
    assert engine.dispatcher.most <= 2


def test_without_a_free_session_nothing_is_claimed(run):
    queued()
    Worker.objects.create(name="other:1", started_at=ago(9), seen_at=ago(9), sessions=5)
    report = run(SMTP_MAX_SESSIONS_TOTAL=5)
    assert (report.sent, report.more) == (0, True)
    assert states() == {"QUEUED": 1}


def test_the_sessions_of_a_dead_relay_are_free_again_when_its_leases_are(run):
    queued()
    Worker.objects.create(name="other:1", started_at=ago(99), seen_at=ago(61), sessions=5)
    assert run(SMTP_MAX_SESSIONS_TOTAL=5, LEASE_SECONDS=60).sent == 1


def test_a_drain_renews_its_share_of_the_sessions_and_gives_it_up_at_the_end(engines, monkeypatch):
    """A delivery that takes as long as several leases: others go on counting its session."""
    shares = []
    renewed = threading.Event()
    busy = allowance.workers.busy

    def look(alias, name):
        busy(alias, name)
        shares.append(Worker.objects.get().sessions)
        if len(shares) == 3:
            renewed.set()

    monkeypatch.setattr(allowance.workers, "busy", look)
    queued()
    slow = MemoryTransport(lambda parcel, to: renewed.wait(60) and None)
    engine = engines(slow, SMTP_MAX_SESSIONS_TOTAL=5, LEASE_SECONDS=2)
    assert drain(engine=engine).sent == 1
    assert renewed.is_set()
    assert set(shares) == {5}
    assert Worker.objects.get().sessions == 0
    assert engine.dispatcher.sessions() == 0, "the server is not left with a session nobody counts"


def test_p10_what_is_in_hand_is_bounded_by_bytes(engines):
    for _ in range(40):
        queued(size=1_000_000)
    most = []
    engine = engines(CLAIM_MAX_BYTES=4_000_000)
    original = drain_module.sift

    def sift(alias, claim, policies):
        most.append(len(claim.messages))
        return original(alias, claim, policies)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drain_module, "sift", sift)
        assert drain(engine=engine).sent == 40
    assert max(most) <= 4


def test_p10_bytes_are_bounded_over_several_claims_while_the_server_is_slow(engines, monkeypatch):
    for _ in range(40):
        queued(size=1_000_000)
    held = []
    original = Hand.take

    def take(hand, passages):
        original(hand, passages)
        held.append(hand.size())

    monkeypatch.setattr(Hand, "take", take)
    gate = threading.Event()
    after_some_turns(monkeypatch, gate.set)
    assert drain(engine=engines(MemoryTransport(gate=gate), CLAIM_MAX_BYTES=4_000_000)).sent == 40
    assert max(held) <= 6_000_000, "half a claim that is left, and one more"


def test_the_next_try_is_set_by_the_clock_of_the_database(run, monkeypatch):
    """A relay whose own clock is an hour off defers no longer and no shorter."""
    from datetime import datetime, timedelta

    class Wrong(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(hours=1)

    monkeypatch.setattr(drain_module, "datetime", Wrong)
    queued()
    run(MemoryTransport(lambda parcel, to: Reply(451, "later")))
    pause = (Message.objects.get().due_at - ago(0)).total_seconds()
    assert pause <= 60


def test_retention_zero_keeps_nothing_that_was_sent(run):
    queued()
    assert run(MESSAGES_RETENTION_SECONDS=0).sent == 1
    assert not Message.objects.exists()


@pytest.mark.parametrize("retries", [0, 2])
def test_email_max_retries_is_kept(run, retries):
    queued()
    later = MemoryTransport(lambda parcel, to: Reply(451, "later"))
    for _ in range(retries + 1):
        run(later, EMAIL_MAX_RETRIES=retries)
        Message.objects.update(due_at=ago(1))
    assert Message.objects.get().status == Status.FAILED
    assert len(later.delivered) == retries + 1


def test_p5_a_message_at_which_every_session_dies_does_not_stand_before_the_others(run, engines):
    """It looks like an outage once; at the second fresh session it is deferred, and the rest goes out."""
    queued(recipients=["killer@example.com"], priority=3)
    queued(recipients=["other@example.com"])

    def script(parcel, recipient):
        return ServerUnavailable("421 at MAIL") if recipient.startswith("killer") else None

    relay = engines(MemoryTransport(script))
    assert drain(engine=relay).reason == CIRCUIT_OPEN
    assert {message.retry_count for message in Message.objects.all()} == {0}, "so far it may be an outage"
    Server.objects.update(probe_at=ago(1))
    report = drain(engine=relay)
    assert (report.sent, report.deferred) == (1, 1)
    assert Message.objects.deferred().get().recipients == ["killer@example.com"]


def test_p2_an_outcome_is_recorded_while_another_message_is_still_on_the_way(run, monkeypatch):
    """A relay that is killed then doubles only what was not recorded yet."""
    queued(priority=3)
    queued(recipients=["slow@example.com"])
    gate, seen, report = threading.Event(), [], Dispatcher.report

    def looking(self, timeout):
        seen.append(states()["SENT"])
        if seen[-1] or len(seen) > 200:
            gate.set()
        return report(self, timeout)

    monkeypatch.setattr(Dispatcher, "report", looking)
    run(MemoryTransport(lambda _, to: gate.wait(60) and None if to == "slow@example.com" else None))
    assert 1 in seen


def test_p2_a_lease_is_renewed_while_its_message_is_on_the_way(run, monkeypatch):
    """The delivery takes longer than the lease, and goes on once it was renewed twice."""
    queued()
    renewals, gate, renew = itertools.count(1), threading.Event(), leases.renew

    def renewing(*arguments):
        renew(*arguments)
        if next(renewals) == 2:
            gate.set()

    monkeypatch.setattr(leases, "renew", renewing)
    threading.Timer(20, gate.set).start()  # or the test would wait for long
    assert run(MemoryTransport(gate=gate), LEASE_SECONDS=5).sent == 1
    assert next(renewals) == 3


def test_p1_of_two_threads_of_one_process_one_drains(engines):
    """A worker with a pool of threads: they share the sessions, and would take each other's reports."""
    queued()
    seen = []
    relay = engines(MemoryTransport(lambda *_: seen.append(drain(engine=relay).reason)))
    assert drain(engine=relay).sent == 1
    assert seen == ["another thread drains"]
    queued()
    assert drain(engine=relay).sent == 1


def test_p2_a_report_about_an_earlier_claim_counts_for_nothing(engines):
    """The message at which two sessions died comes back when it was judged already: it is not given back in a later drain."""
    queued(recipients=["killer@example.com"])
    transport = MemoryTransport(lambda *_: ServerUnavailable("421 at MAIL"))
    relay = engines(transport)
    for _ in range(2):
        drain(engine=relay)
        Server.objects.update(probe_at=ago(1))
    transport.script = None
    Message.objects.update(due_at=ago(1))
    report = drain(engine=relay)
    assert transport.accepted() == ["killer@example.com"]
    assert (report.sent, report.returned) == (1, 0)
