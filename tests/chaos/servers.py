"""The SMTP server is away: nothing is charged, and the relay goes on by itself."""

from __future__ import annotations

from tests.chaos.fault import fault
from tests.chaos.installation import QUEUED, Installation, end_well
from tests.support.waiting import wait_until


@fault("SMTP server away at the start", LEASE_SECONDS=60)
def server_away(site: Installation) -> None:
    site.fill()
    site.smtp.pause()
    with site.relay() as relay:
        wait_until(
            lambda: site.execute("SELECT 1 FROM email_relay_server WHERE opened_at IS NOT NULL"),
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


FAULTS = (server_away,)
