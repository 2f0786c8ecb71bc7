"""Hosts whose clock is an hour off: due times, leases, pauses and lifetimes go by the database's clock."""

from __future__ import annotations

import os
from pathlib import Path

from tests.chaos.fault import fault
from tests.chaos.installation import SENDING, SENT, Installation, end_well
from tests.support.processes import ROOT
from tests.support.smtpserver import Script
from tests.support.waiting import wait_until

SKEW = Path(__file__).parent / "skew"
LEASE = 10
LATER = 20
"""So many messages are due in half an hour."""
ENQUEUE = """
import sys, django; django.setup()
from django.core.mail import EmailMessage, get_connection
queue = get_connection("email_relay.backend.RelayDatabaseEmailBackend")
queue.send_messages([EmailMessage("s", "b", "from@example.com", [f"to{n}@example.com"])
                     for n in range(int(sys.argv[1]), int(sys.argv[2]))])
"""


def skewed(site: Installation, hours: int) -> dict[str, object]:
    """The environment of a process whose wall clock is off."""
    path = os.pathsep.join([str(SKEW), str(site.place.folder), str(ROOT)])
    return {"PYTHONPATH": path, "CLOCK_SKEW_SECONDS": 3600 * hours}


@fault("clocks of two runrelay an hour off", LEASE_SECONDS=LEASE, MESSAGE_LIFETIME=1800)
def relays(site: Installation) -> None:
    """Each message must go out within half an hour; the relay ahead would call it expired, the one behind not yet due."""
    site.smtp.script = _defers_some(site)
    _prepare(site)
    with site.relay(**skewed(site, 1)) as ahead, site.relay(**skewed(site, -1)) as behind:
        ends = _lease_ends_while_sending(site, site.filled - LATER)
        site.execute("UPDATE email_relay_message SET due_at = now() WHERE due_at > now() + interval '5 minutes'")
        site.wait_until_all_sent(ahead, behind)
        end_well([ahead, behind])
    assert ends, "no lease was seen"
    assert all(-60 < end < LEASE + 60 for end in ends), f"a lease ends {min(ends)} to {max(ends)} s from now"
    assert site.execute("SELECT status FROM email_relay_message WHERE recipients ->> 0 LIKE 'expired%%'") == [(3,)]


@fault("clocks of two clients an hour off", LEASE_SECONDS=LEASE)
def clients(site: Installation) -> None:
    """What they queue is due at once, in whichever direction they are wrong."""
    with site.relay() as relay:
        for hours in (1, -1):
            _enqueue(site, 20, skewed(site, hours))
        site.wait_until_all_sent(relay)
        end_well([relay])
    late = site.execute("SELECT id FROM email_relay_message WHERE abs(extract(epoch FROM now() - ready_at)) > 600")
    assert not late, "a client's clock stands in the queue"


@fault("clock of one of two workers an hour off", LEASE_SECONDS=LEASE)
def workers(site: Installation) -> None:
    """They share a broker, so each takes the other's tasks, stale or dated ahead as they seem."""
    with site.workers("one") as one, site.workers("two", env=skewed(site, 1)) as two:
        for _ in range(4):
            site.fill(site.messages // 4)
            site.smtp.wait_for(site.filled // 2)
        site.wait_until_all_sent(*one, *two)
        end_well([*one, *two])
    assert not site.charged()


@fault("clock of the only worker an hour off", LEASE_SECONDS=LEASE)
def beat_elsewhere(site: Installation) -> None:
    """Beat runs on another host, whose clock is right: every task of its seems to be an hour old.

    New mail wakes the worker by itself; what was deferred waits for beat.
    """
    site.smtp.script = _defers_some(site)
    with site.beat(), site.workers("one", beat=False, env=skewed(site, 1)) as workers:
        site.fill()
        site.wait_until_all_sent(*workers)
        end_well(workers)


def _defers_some(site: Installation) -> Script:
    return Script(on_rcpt=_FirstTimeLater(), delay=site.smtp.script.delay)


class _FirstTimeLater:
    """One recipient in twenty is deferred once."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def __call__(self, address: str) -> str | None:
        if not address.startswith("to") or int(address[2:].partition("@")[0]) % 20 or address in self.seen:
            return None
        self.seen.add(address)
        return "451 4.3.0 once more, please"


def _prepare(site: Installation) -> None:
    """All must be sent within half an hour, some not before; and one had to be sent half an hour ago."""
    site.fill()
    site.execute("UPDATE email_relay_message SET expires_at = now() + interval '30 minutes'")
    site.execute(
        "UPDATE email_relay_message SET due_at = now() + interval '30 minutes' WHERE id IN "
        f"(SELECT id FROM email_relay_message ORDER BY id LIMIT {LATER})"
    )
    site.fill(1)
    site.filled -= 1
    site.execute(
        "UPDATE email_relay_message SET recipients = '[\"expired@example.com\"]', expires_at = now() - interval '30 minutes' "
        f"WHERE recipients ->> 0 = 'to{site.filled + 1}@example.com'"
    )


def _lease_ends_while_sending(site: Installation, count: int) -> list[float]:
    """Seconds from now, by the database's clock, while the first so many are sent; the rest must not be."""
    ends: list[float] = []

    def look() -> bool:
        ends.extend(
            float(end)
            for (end,) in site.execute(
                "SELECT DISTINCT extract(epoch FROM lease_until - now()) FROM email_relay_message WHERE status = 5"
            )
        )
        states = site.states()
        return states[SENT] >= count and not states[SENDING]

    wait_until(look, 120, lambda: f"{count} sent; there are {site.states()}")
    assert site.states()[SENT] == count, "something went out before it was due"
    return ends


def _enqueue(site: Installation, count: int, env: dict[str, object]) -> None:
    first, site.filled = site.filled + 1, site.filled + count
    with site.project.start("-c", ENQUEUE, first, site.filled + 1, env=env) as client:
        assert client.wait() == 0, client.tail()


FAULTS = (relays, clients, workers, beat_elsewhere)
