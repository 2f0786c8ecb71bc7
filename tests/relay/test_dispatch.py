"""Couriers: every parcel that goes in comes out again, once, whatever the way out does."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from email_relay.exceptions import ConfigurationError, ServerUnavailable, SessionEnded
from email_relay.relay import dispatch as dispatch_module
from email_relay.relay.dispatch import Dispatcher, Job, Returned, Unmanned, Unreachable, sessions_wanted
from email_relay.relay.leases import Lease
from email_relay.relay.transport.base import Delivery, Parcel
from email_relay.relay.transport.memory import MemorySession, MemoryTransport
from tests.support.waiting import wait_until


def jobs(count, *, seconds=60.0):
    lease = Lease("t" * 32, seconds, time.monotonic())
    return [Job(Parcel(n, "f@x.org", (f"to{n}@x.org",), b"content"), lease) for n in range(count)]


def outcome(dispatcher, count):
    """Reports until ``count`` parcels are accounted for: keys delivered, keys returned, errors."""
    delivered, returned, errors = Counter(), Counter(), []
    deadline = time.monotonic() + 60
    while sum(delivered.values()) + sum(returned.values()) < count:
        assert time.monotonic() < deadline, f"{delivered} {returned} {errors}"
        report = dispatcher.report(1)
        if report is None:
            dispatcher.tend()
        elif isinstance(report, Delivery):
            delivered[report.parcel.key] += 1
            dispatcher.observe(report.seconds)
        elif isinstance(report, Returned):
            returned.update(job.parcel.key for job in report.jobs)
        elif isinstance(report, Unreachable):
            errors.append(report.error)
    return delivered, returned, errors


@pytest.fixture
def dispatch():
    made = []

    def make(transport, most=4):
        made.append(Dispatcher(transport, most))
        return made[-1]

    yield make
    for dispatcher in made:
        dispatcher.close()
        assert dispatcher.sessions() == 0


def each_once(count):
    return Counter(dict.fromkeys(range(count), 1))


def test_everything_is_delivered_once(dispatch):
    dispatcher = dispatch(MemoryTransport())
    dispatcher.submit(jobs(50))
    assert outcome(dispatcher, 50) == (each_once(50), Counter(), [])


def test_sessions_that_end_are_followed_by_others(dispatch):
    transport = MemoryTransport(session_limit=3)
    dispatcher = dispatch(transport, 1)
    dispatcher.submit(jobs(20))
    assert outcome(dispatcher, 20)[0] == each_once(20)
    assert transport.connects >= 7


def test_p6_a_server_that_is_away_gives_everything_back(dispatch):
    dispatcher = dispatch(MemoryTransport(down="connection refused"), 1)
    dispatcher.submit(jobs(1))
    delivered, returned, errors = outcome(dispatcher, 1)
    assert (delivered, returned) == (Counter(), each_once(1))
    assert [error.reason for error in errors] == ["connection refused"]


def test_the_reason_is_reported_before_the_last_parcel_comes_back(dispatch):
    dispatcher = dispatch(MemoryTransport(down="away"), 1)
    dispatcher.submit(jobs(1))
    assert isinstance(dispatcher.report(30), Unreachable)
    assert isinstance(dispatcher.report(30), Returned)


@pytest.mark.parametrize("error", [RuntimeError("secret"), ConfigurationError("no such file"), OSError("disk")])
def test_p1_whatever_connecting_raises_the_parcel_comes_back(dispatch, error):
    class Broken(MemoryTransport):
        def connect(self):
            raise error

    dispatcher = dispatch(Broken())
    dispatcher.submit(jobs(1))
    _, returned, [reported] = outcome(dispatcher, 1)
    assert returned == each_once(1)
    assert "secret" not in reported.reason


def test_p5_a_message_that_breaks_the_way_out_is_deferred_alone(dispatch):
    def script(parcel, to):
        if parcel.key == 2:
            raise RuntimeError("broken by this message")

    dispatcher = dispatch(MemoryTransport(script), 1)
    dispatcher.submit(jobs(6))
    delivered = {}
    while len(delivered) < 6:
        report = dispatcher.report(30)
        delivered[report.parcel.key] = report.final.code
    assert delivered == {0: 250, 1: 250, 2: 0, 3: 250, 4: 250, 5: 250}
    assert dispatcher.transport.connects == 2, "whatever state the first session was left in"


def test_p5_those_behind_the_message_that_breaks_the_way_out_go_on(dispatch):
    """They were taken ahead of time, and are charged nothing."""

    class Ahead(MemorySession):
        def deliver(self, parcels):
            taken = list(parcels)
            if taken[0].key == 0:
                raise RuntimeError("broken by the first")
            yield from super().deliver(taken)

    class Transport(MemoryTransport):
        def connect(self):
            return Ahead(self)

    dispatcher = dispatch(Transport(), 1)
    dispatcher.submit(jobs(4))
    reports = [dispatcher.report(30) for _ in range(4)]
    assert {one.parcel.key: one.final.code for one in reports} == {0: 0, 1: 250, 2: 250, 3: 250}
    assert dispatcher.inbox.empty()


def test_p1_a_session_that_forgets_a_parcel_does_not_lose_it(dispatch):
    class Forgetful(MemorySession):
        def deliver(self, parcels):
            for parcel in parcels:
                if parcel.key != 1:
                    yield from super().deliver([parcel])

    class Transport(MemoryTransport):
        def connect(self):
            return Forgetful(self)

    dispatcher = dispatch(Transport(), 1)
    dispatcher.submit(jobs(4))
    delivered, returned, _ = outcome(dispatcher, 4)
    assert delivered + returned == each_once(4)


def test_p1_a_session_that_cannot_be_closed_loses_nothing(dispatch):
    class Stuck(MemorySession):
        def close(self):
            raise OSError("stuck")

    class Transport(MemoryTransport):
        def connect(self):
            return Stuck(self)

    dispatcher = dispatch(Transport(session_limit=2), 1)
    dispatcher.submit(jobs(6))
    assert outcome(dispatcher, 6)[0] == each_once(6)


def test_p3_a_server_lost_after_a_delivery_is_not_offered_it_again(dispatch):
    """What was reported is not put back, though another session lives that would take it."""

    class Leaving(MemorySession):
        def deliver(self, parcels):
            for parcel in parcels:
                yield from super().deliver([parcel])
                if parcel.key == 0:
                    raise ServerUnavailable("gone")

    class Transport(MemoryTransport):
        def connect(self):
            return Leaving(self)

    transport = Transport()
    dispatcher = dispatch(transport, 1)
    dispatcher.content_with_others = lambda: True
    dispatcher.submit(jobs(3))
    assert outcome(dispatcher, 3)[0] == each_once(3)
    assert Counter(transport.accepted()) == Counter(f"to{n}@x.org" for n in range(3))


class EndsAtOnce(MemoryTransport):
    """Its first session ends before it takes anything, as an idle one does that the server has closed meanwhile."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def connect(self):
        session = super().connect()
        if self.connects == 1:
            session.deliver = self.deliver
        return session

    def deliver(self, parcels):
        raise self.error
        yield


def test_p1_a_session_that_ends_before_it_takes_anything_loses_nothing(dispatch):
    dispatcher = dispatch(EndsAtOnce(SessionEnded("idle for too long")), 1)
    dispatcher.submit(jobs(5))
    assert outcome(dispatcher, 5) == (each_once(5), Counter(), [])


def test_p6_a_session_that_dies_before_it_takes_anything_blames_no_message(dispatch):
    dispatcher = dispatch(EndsAtOnce(ServerUnavailable("gone")), 1)
    dispatcher.submit(jobs(1))
    report = dispatcher.report(30)
    assert isinstance(report, Unreachable)
    assert report.begun is None
    assert [job.parcel.key for job in dispatcher.report(30).jobs] == [0]


def test_p2_what_has_no_lease_any_more_is_not_begun(dispatch):
    transport = MemoryTransport()
    dispatcher = dispatch(transport)
    dispatcher.submit(jobs(5, seconds=-1.0))
    assert outcome(dispatcher, 5) == (Counter(), each_once(5), [])
    assert transport.delivered == []


def test_taking_back_gets_what_nobody_has_begun(dispatch):
    gate = threading.Event()
    transport = MemoryTransport(gate=gate)
    dispatcher = dispatch(transport, 1)
    dispatcher.submit(jobs(10))
    assert transport.waiting.wait(30)
    back = Counter(job.parcel.key for job in dispatcher.take_back())
    gate.set()
    delivered, _, _ = outcome(dispatcher, 10 - len(back))
    assert delivered + back == each_once(10)
    assert len(back) >= 8


def test_a_refused_extra_session_is_no_outage(dispatch):
    """A server that takes one session only: the others' parcels go by it."""
    first = threading.Event()
    gate = threading.Event()

    class OneSession(MemoryTransport):
        def connect(self):
            if first.is_set():
                gate.set()
                raise ServerUnavailable("421 too many connections")
            first.set()
            return super().connect()

    dispatcher = dispatch(OneSession(gate=gate), 4)
    dispatcher.submit(jobs(1))
    assert dispatcher.transport.waiting.wait(30)
    dispatcher.observe(1.0)
    dispatcher.submit(jobs(8)[1:])
    dispatcher.tend()
    delivered, returned, errors = outcome(dispatcher, 8)
    assert (delivered, returned, errors) == (each_once(8), Counter(), [])
    assert dispatcher.most == 1


def test_a_slow_server_gets_more_sessions(dispatch):
    assert sessions_wanted(0.0, 16) == 1
    assert sessions_wanted(0.002, 16) == 1
    assert sessions_wanted(0.02, 16) == 8
    assert sessions_wanted(9.0, 16) == 16


def test_a_closed_dispatcher_leaves_no_thread_and_no_session(dispatch):
    transport = MemoryTransport()
    dispatcher = dispatch(transport)
    dispatcher.submit(jobs(10))
    outcome(dispatcher, 10)
    couriers = list(dispatcher._couriers)
    dispatcher.close(30)
    assert not any(courier.is_alive() for courier in couriers)
    assert transport.closed == transport.connects


def test_it_works_again_after_it_was_closed(dispatch):
    dispatcher = dispatch(MemoryTransport())
    dispatcher.close()
    dispatcher.submit(jobs(3))
    assert outcome(dispatcher, 3)[0] == each_once(3)


def test_a_session_that_ends_gives_back_what_was_not_offered(dispatch):
    """The parcels taken ahead of the end go out by the next session, in spite of an error that names none."""

    class Ahead(MemorySession):
        def deliver(self, parcels):
            taken = list(parcels)
            yield from super().deliver(taken[:1])
            raise SessionEnded("enough")

    class Transport(MemoryTransport):
        def connect(self):
            return Ahead(self)

    dispatcher = dispatch(Transport(), 1)
    dispatcher.submit(jobs(5))
    assert outcome(dispatcher, 5)[0] == each_once(5)


def no_more_threads(monkeypatch, after):
    """The system gives so many threads, then no more."""

    class Courier(dispatch_module.Courier):
        def start(self):
            if next(started) >= after:
                raise RuntimeError("can't start new thread")
            super().start()

    started = iter(range(1_000))
    monkeypatch.setattr(dispatch_module, "Courier", Courier)


def test_p1_without_a_thread_everything_can_be_taken_back(dispatch, monkeypatch):
    no_more_threads(monkeypatch, after=0)
    dispatcher = dispatch(MemoryTransport())
    dispatcher.submit(jobs(3))
    assert isinstance(dispatcher.report(30), Unmanned)
    assert Counter(job.parcel.key for job in dispatcher.take_back()) == each_once(3)


def test_p1_without_a_thread_for_another_courier_the_first_does_all(dispatch, monkeypatch):
    no_more_threads(monkeypatch, after=1)
    dispatcher = dispatch(MemoryTransport(), 4)
    dispatcher.observe(1.0)
    dispatcher.submit(jobs(20))
    assert outcome(dispatcher, 20) == (each_once(20), Counter(), [])
    assert dispatcher.most == 1


def test_it_is_deserted_when_nobody_works_and_nothing_waits(dispatch):
    gate = threading.Event()
    dispatcher = dispatch(MemoryTransport(gate=gate))
    assert dispatcher.deserted()
    dispatcher.submit(jobs(1))
    assert not dispatcher.deserted()
    gate.set()
    wait_until(lambda: not dispatcher.reports.empty())
    dispatcher.close(30)
    assert not dispatcher.deserted(), "a report waits"
    outcome(dispatcher, 1)
    assert dispatcher.deserted()
