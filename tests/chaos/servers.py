"""The SMTP server is away: nothing is charged, and the relay goes on by itself."""

from __future__ import annotations

import time

from tests.chaos.fault import fault
from tests.chaos.installation import QUEUED, Installation, end_well
from tests.chaos.stops import GRACE_SECONDS
from tests.support.waiting import wait_until

OPEN = "SELECT 1 FROM email_relay_server WHERE opened_at IS NOT NULL"
SILENCE_SECONDS = 5


@fault("SMTP server away at the start", LEASE_SECONDS=60)
def server_away(site: Installation) -> None:
    site.fill()
    site.smtp.pause()
    with site.relay() as relay:
        wait_until(
            lambda: site.execute(OPEN),
            60,
            lambda: f"the circuit to open\n{relay.tail()}",
            interval=0.1,
        )
        wait_until(lambda: site.states()[QUEUED] == site.filled, 60, "everything to be given back")
        site.smtp.resume()
        site.execute("UPDATE email_relay_server SET probe_at = now()")
        site.wait_until_all_sent(relay)
        end_well([relay])
    assert not site.charged()


@fault("kill -9 of the relay that probes the SMTP server")
def prober_dies(site: Installation) -> None:
    """Another probes once a lease would be over, and not minutes later."""
    site.fill()
    site.smtp.pause()
    with site.relay() as prober:
        wait_until(lambda: site.execute(OPEN), 60, lambda: f"the circuit to open\n{prober.tail()}", interval=0.1)
        wait_until(lambda: site.states()[QUEUED] == site.filled, 60, "everything to be given back")
        site.smtp.script.on_connect = _no_greeting
        site.smtp.resume()
        site.execute("UPDATE email_relay_server SET probe_at = now()")
        wait_until(lambda: site.smtp.open_sessions, 60, lambda: f"a probe\n{prober.tail()}")
        prober.kill()
    site.smtp.script.on_connect = None
    with site.relay() as other:
        site.wait_until_all_sent(other, timeout=GRACE_SECONDS)
        end_well([other])
    assert not site.charged()


def _no_greeting() -> None:
    time.sleep(SILENCE_SECONDS)


FAULTS = (server_away, prober_dies)
