"""Dispatch: parcels in hand go over several SMTP sessions at once; results come back as they are known.

A *courier* is a thread with one session of its own, kept open while there is work and a little longer. One is enough for a
quick server; against a slow one more are started, up to a limit. Couriers never touch the database. What they report:
`Delivery` (a transaction ended), `Returned` (never offered), `Unreachable` (the server is in trouble); and for want of any
courier `Unmanned`.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from dataclasses import dataclass
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Union

from email_relay.exceptions import ServerUnavailable, SessionEnded
from email_relay.relay.faults import described
from email_relay.relay.leases import Lease
from email_relay.relay.observers import timed
from email_relay.relay.transport.base import NO_REPLY, Delivery, Parcel, Reply, Session, Transport

logger = logging.getLogger("email_relay.relay")

LINGER_SECONDS = 10.0
QUICK_SECONDS = 0.0025
"""A session for each so many seconds that one transaction takes: more would only contend for this process."""


class Job(NamedTuple):
    """A parcel, and the lease that allows its delivery."""

    parcel: Parcel
    lease: Lease


@dataclass(frozen=True)
class Returned:
    """Never offered to the server: to be given back."""

    jobs: Sequence[Job]


@dataclass(frozen=True)
class Unreachable:
    """The server refused a session while no other session works. ``begun``: the parcel at which a fresh session died."""

    error: ServerUnavailable
    begun: Optional[Job] = None


@dataclass(frozen=True)
class Unmanned:
    """No courier lives and none could be started: for now nothing goes out from this process."""


Report = Union[Delivery, Returned, Unreachable, Unmanned]


class UnfinishedDelivery(RuntimeError):
    """A way out ended without a word about some of its parcels."""


def sessions_wanted(seconds: float, most: int) -> int:
    """How many sessions keep a process busy when one transaction takes ``seconds``."""
    return max(1, min(most, math.ceil(seconds / QUICK_SECONDS)))


class Dispatcher:
    """Owns the couriers of one process and the parcels they have not begun."""

    def __init__(self, transport: Transport, most: int) -> None:
        self.transport = transport
        self.most = most
        self.inbox: queue.SimpleQueue[Optional[Job]] = queue.SimpleQueue()
        self.reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._couriers: List[Courier] = []
        self._lock = threading.Lock()
        self._pace = 0.0

    @property
    def pace(self) -> float:
        """Seconds one transaction takes of late, as a moving average."""
        return self._pace

    def sessions(self) -> int:
        with self._lock:
            return sum(courier.connected for courier in self._couriers)

    def connect(self) -> Session:
        """A new session. Raises `ServerUnavailable` for whatever keeps the way out from opening one."""
        try:
            with timed("connect", self.transport.server):
                return self.transport.connect()
        except ServerUnavailable:
            raise
        except Exception as error:
            logger.error("cannot open a session with %s: %s", self.transport.server, described(error))  # noqa: TRY400
            raise ServerUnavailable(f"{self.transport.server}: {type(error).__name__}") from error

    def submit(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self.inbox.put(job)
        self._staff()

    def observe(self, seconds: float) -> None:
        """Learn from one delivery; call in more couriers if the server is slow and work is waiting."""
        self._pace = seconds if not self._pace else 0.9 * self._pace + 0.1 * seconds
        self.tend()

    def tend(self) -> None:
        """See to it that what is waiting has couriers."""
        if not self.inbox.empty():
            self._staff()

    def _staff(self) -> None:
        with self._lock:
            self._couriers = [courier for courier in self._couriers if courier.is_alive()]
            missing = min(sessions_wanted(self._pace, self.most), self.inbox.qsize()) - len(self._couriers)
            try:
                for _ in range(max(missing, 0 if self._couriers else 1)):
                    courier = Courier(self)
                    courier.start()
                    self._couriers.append(courier)
            except RuntimeError as error:
                self._understaffed(error)

    def _understaffed(self, error: RuntimeError) -> None:
        """The system gives no more threads: go on with the couriers there are, and ask for no more."""
        self.most = max(1, len(self._couriers))
        logger.warning("no more threads, going on with %s: %s", len(self._couriers), error)
        if not self._couriers:
            self.reports.put(Unmanned())

    def deserted(self) -> bool:
        """Nobody is at work and nothing waits: what has not been reported by now never will be."""
        with self._lock:
            if any(courier.is_alive() for courier in self._couriers):
                return False
        return self.inbox.empty() and self.reports.empty()

    def take_back(self) -> List[Job]:
        """The parcels no courier has begun."""
        jobs: List[Job] = []
        while True:
            try:
                job = self.inbox.get_nowait()
            except queue.Empty:
                return jobs
            if job is not None:
                jobs.append(job)

    def report(self, timeout: float) -> Report | None:
        try:
            return self.reports.get(timeout=timeout) if timeout > 0 else self.reports.get_nowait()
        except queue.Empty:
            return None

    def content_with_others(self) -> bool:
        """Whether other sessions live: then the server takes no more than these, and no more are asked for."""
        with self._lock:
            living = sum(courier.connected for courier in self._couriers)
            if living:
                self.most = min(self.most, living)
            return living > 0

    def close(self, timeout: float = 10.0) -> None:
        """Send the couriers home; sessions say goodbye."""
        with self._lock:
            couriers = [courier for courier in self._couriers if courier.is_alive()]
        for _ in couriers:
            self.inbox.put(None)
        deadline = time.monotonic() + timeout
        for courier in couriers:
            courier.join(max(0.0, deadline - time.monotonic()))


class Courier(threading.Thread):
    """One session and the thread that works it."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        super().__init__(name="email-relay-courier", daemon=True)
        self.dispatcher = dispatcher
        self.session: Optional[Session] = None
        self.taken: Dict[int, Job] = {}

    @property
    def connected(self) -> bool:
        return self.session is not None

    def run(self) -> None:
        try:
            while True:
                job = self._next_job()
                if job is None or not self._work(job):
                    return
        finally:
            self._hang_up()

    def _next_job(self) -> Job | None:
        try:
            return self.dispatcher.inbox.get(timeout=LINGER_SECONDS)
        except queue.Empty:
            return None

    def _work(self, job: Job) -> bool:
        """Deliver this job and what else is in the inbox. False: this courier is done."""
        if self.session is None:
            try:
                self.session = self.dispatcher.connect()
            except ServerUnavailable as error:
                return self._unreachable(error, [job])
        return self._deliver(job)

    def _deliver(self, job: Job) -> bool:
        assert self.session is not None
        # ours from here on: a session may end before it takes anything
        self.taken[job.parcel.key] = job
        try:
            for delivery in self.session.deliver(self._on_hand(job)):
                self.taken.pop(delivery.parcel.key, None)
                self.dispatcher.reports.put(delivery)
            self._all_answered()
        except SessionEnded as ended:
            self._hang_up()
            logger.debug("session with %s ended: %s", self.dispatcher.transport.server, ended.reason)
            self._again(self._untouched())
        except ServerUnavailable as error:
            jobs = self._untouched()
            return self._unreachable(error, jobs, begun=jobs[0] if error.untouched else None)
        except Exception as error:  # noqa: BLE001 - whatever a transport or a bug raises, the parcels come back
            logger.error("delivery broke: %s", described(error))  # noqa: TRY400 - no text of the error (P13)
            self._hang_up()
            self._broken(error)
        return True

    def _all_answered(self) -> None:
        if self.taken:
            raise UnfinishedDelivery(f"{len(self.taken)} parcels without a result")

    def _on_hand(self, first: Job) -> Iterator[Parcel]:
        """This job, then whatever is waiting now; it never blocks, so results are not held up."""
        job: Optional[Job] = first
        while job is not None:
            self.taken[job.parcel.key] = job
            if job.lease.over():
                del self.taken[job.parcel.key]
                self.dispatcher.reports.put(Returned([job]))
            else:
                yield job.parcel
            try:
                job = self.dispatcher.inbox.get_nowait()
            except queue.Empty:
                return
        self.dispatcher.inbox.put(None)  # meant for some courier's end, taken in mid-work

    def _untouched(self) -> List[Job]:
        jobs = list(self.taken.values())
        self.taken.clear()
        return jobs

    def _again(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self.dispatcher.inbox.put(job)

    def _unreachable(self, error: ServerUnavailable, jobs: Sequence[Job], begun: Optional[Job] = None) -> bool:
        self._hang_up()
        if self.dispatcher.content_with_others():
            self._again(jobs)
        else:
            # the reason first: whoever sees the last job come back must know already
            self.dispatcher.reports.put(Unreachable(error, begun))
            self.dispatcher.reports.put(Returned(jobs))
        return False

    def _broken(self, error: Exception) -> None:
        """A fault of ours while a message was in hand: that one is deferred, those behind it go on."""
        jobs = self._untouched()
        reply = Reply(NO_REPLY, f"internal error: {type(error).__name__}")
        for job in jobs[:1]:
            replies = dict.fromkeys(job.parcel.recipients, reply)
            self.dispatcher.reports.put(Delivery(job.parcel, replies, reply))
        self._again(jobs[1:])

    def _hang_up(self) -> None:
        session, self.session = self.session, None
        if session is None:
            return
        try:
            session.close()
        except Exception as error:  # noqa: BLE001 - whatever a transport or a bug raises, the parcels come back
            # the parcels of this courier must still go back
            logger.error("cannot close a session with %s: %s", self.dispatcher.transport.server, described(error))  # noqa: TRY400
