"""A long time under mail, with one fault after the other: nothing lost, nothing astray, nothing that grows.

One relay is never killed: it is the one whose memory and descriptors are watched. Beside it a second, which is, and a worker.
"""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Iterator

from tests.chaos import gauges
from tests.chaos.doubles import Account, Arrivals, Strike
from tests.chaos.fault import NOTHING, Fault, ground
from tests.chaos.harms import DYING, HARMS, Harm, kill_runrelay, kill_worker
from tests.chaos.installation import SLOWLY, Installation
from tests.chaos.tally import Cost
from tests.support.smtpserver import Received
from tests.support.waiting import wait_until

LEASE_SECONDS = 10
RETENTION_SECONDS = 60
TICK_SECONDS = 0.25
RELAYS = 4
"""Processes that send: two of ``runrelay``, and a pool of two."""
DRAIN_SECONDS = 240
"""Longer than a probe that is lost with its relay's connection holds up the next one."""
SETTINGS = {"LEASE_SECONDS": LEASE_SECONDS, "MESSAGES_RETENTION_SECONDS": RETENTION_SECONDS, "EMPTY_QUEUE_SLEEP": 1}
THERE = "SELECT 1 FROM email_relay_message WHERE message_id = %s"
GROUND = Fault("soak", lambda _: NOTHING, own_postgres=True, broker="redis")


@dataclass(frozen=True)
class Verdict:
    """What came of it."""

    seconds: float
    sent: int
    lost: int
    doubled: int
    account: Account
    readings: list[gauges.Reading]
    grown: list[str]
    broken: list[str]

    @property
    def well(self) -> bool:
        return not (self.lost or self.account.astray or self.account.excess or self.grown or self.broken)

    def as_dict(self) -> dict[str, Any]:
        first, last = self.readings[min(1, len(self.readings) - 1)], self.readings[-1]
        return {
            "minutes": round(self.seconds / 60, 1),
            "sent": self.sent,
            "rate": round(self.sent / self.seconds),
            "lost": self.lost,
            "doubled": self.doubled,
            "astray": len(self.account.astray),
            "faults": len(self.account.strikes),
            "doubles": self.account.by_harm(),
            "rss_mib": [round(reading.rss / gauges.MIB, 1) for reading in (first, last)],
            "descriptors": [first.descriptors, last.descriptors],
            "table_mib": round(max(reading.table for reading in self.readings) / gauges.MIB, 1),
            "indexes_mib": round(max(reading.indexes for reading in self.readings) / gauges.MIB, 1),
        }

    def __str__(self) -> str:
        grown = f"GROWN: {', '.join(self.grown)}" if self.grown else "nothing grew"
        short = "" if gauges.long_enough(self.readings) else " (too short to judge growth)"
        broken = "".join(f"\nNOT SURVIVED: {what}" for what in self.broken)
        return f"{self.account}\n{json.dumps(self.as_dict(), indent=1)}\n{grown}{short}{broken}"


@dataclass
class Soak:
    """One run. *every*: seconds between two faults."""

    site: Installation
    rate: float
    seconds: float
    every: float = 15.0
    lease: float = LEASE_SECONDS
    arrived: Arrivals = field(default_factory=Arrivals)
    strikes: list[Strike] = field(default_factory=list)
    readings: list[gauges.Reading] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def run(self) -> Verdict:
        self.site.smtp.keep = False
        self.site.smtp.on_received = self._count
        # quick enough for the rate, so slow that whoever is killed has mail in hand
        self.site.smtp.script.delay = SLOWLY
        self.over = threading.Event()
        feeder = threading.Thread(target=self._feed, name="feeder")
        with self.site.relay() as self.veteran:
            self.relay, self.worker = self.site.relay().start(), self.site.worker("one").start()
            self.began = time.monotonic()
            try:
                feeder.start()
                self._harm_until_the_end()
                self.over.set()
                feeder.join()
                return self._ended()
            finally:
                self.over.set()
                self.relay.kill()
                self.worker.kill()

    # mail

    def _count(self, message: Received) -> None:
        now = time.monotonic() - self.began
        for to in message.rcpt_to:
            self.arrived.note(to, now)

    def _feed(self) -> None:
        """At the rate, as far as the database takes it; a refused insert is made again."""
        while not self.over.wait(TICK_SECONDS):
            wanted = int(self.rate * (time.monotonic() - self.began))
            count = min(wanted - self.site.filled, int(self.rate))
            if count > 0:
                self._insert(count)

    def _insert(self, count: int) -> None:
        try:
            self.site.fill(count)
        except Exception:
            self._made_sure(self.site.filled + 1, count)

    def _made_sure(self, first: int, count: int) -> None:
        """The link may have died after the commit."""
        while True:
            try:
                if self.site.execute(THERE, f"<{first}@example.com>"):
                    self.site.filled += count
            except Exception:
                time.sleep(TICK_SECONDS)
            else:
                return

    # trouble

    def _harm_until_the_end(self) -> None:
        due, minute = self._order(), 0
        while (now := time.monotonic() - self.began) < self.seconds:
            if now >= 60 * minute:
                self._read(now)
                minute += 1
            if now > self.every * (len(self.strikes) + 1):
                self._harm(next(due))
            time.sleep(0.2)

    def _harm(self, harm: Harm) -> None:
        began = time.monotonic() - self.began
        in_doubt = self._survived(harm)
        ended = time.monotonic() - self.began
        cost = Cost(frozenset(in_doubt), DYING.get(harm, RELAYS))
        self.strikes.append(Strike(harm.__name__, began, ended, cost))
        print(f"{began:6.0f} s  {harm.__name__} {ended - began:.1f} s, in hand {len(in_doubt)}", flush=True)

    def _survived(self, harm: Harm) -> set[str]:
        """A harm that ends in a broken promise is told at the end, and the soak goes on without the processes in trouble."""
        try:
            return harm(self)
        except AssertionError as error:
            self.broken.append(f"{harm.__name__}: {error}")
            print(f"NOT SURVIVED: {self.broken[-1]}", flush=True)
            return kill_runrelay(self) | kill_worker(self)

    @staticmethod
    def _order() -> Iterator[Harm]:
        """Each once before any comes again, in random order."""
        while True:
            yield from random.sample(HARMS, len(HARMS))

    def _read(self, now: float) -> None:
        reading = gauges.read(self.site, now, self.veteran.pid, self.worker.members())
        self.readings.append(reading)
        print(
            f"{reading}  in {self.site.filled} out {len(self.arrived)} doubled {len(self.arrived.copies)}", flush=True
        )

    # the end

    def _ended(self) -> Verdict:
        try:
            wait_until(lambda: len(self.arrived) >= self.site.filled, DRAIN_SECONDS, interval=0.5)
        except AssertionError:
            logs = "\n".join(process.tail(30) for process in (self.veteran, self.relay, self.worker))
            print(f"not everything arrived: {self.site.states()}\n{logs}", flush=True)
        seconds = time.monotonic() - self.began
        self._read(seconds)
        return Verdict(
            seconds=seconds,
            sent=len(self.arrived),
            lost=self.site.filled - len(self.arrived),
            doubled=len(self.arrived.copies),
            account=Account.of(self.arrived.copies, self.strikes),
            readings=self.readings,
            grown=gauges.growth(self.readings),
            broken=self.broken,
        )


def soak(minutes: float, rate: float, every: float = 15.0) -> Verdict:
    """Raises NotHere where servers of our own cannot be started."""
    with ground(GROUND) as place:
        return Soak(Installation(place, 0, SETTINGS), rate, 60 * minutes, every).run()
