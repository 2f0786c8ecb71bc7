"""P5 with real processes: a message that kills its relay each time it is delivered, and the mail around it."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from tests.chaos.installation import SENT, Installation, Place
from tests.support.smtpserver import Close, Script
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

FAILED = 3
NEIGHBOURS = 30


class Killing(Script):
    """Kills the relay that offers ``to1``, as a memory limit or a crash in C would."""

    def __init__(self):
        super().__init__(on_rcpt=self.rcpt)
        self.victim = None
        self.kills = 0

    def rcpt(self, to):
        if to != "to1@example.com":
            return None
        self.kills += 1
        os.kill(self.victim, signal.SIGKILL)
        return Close()


def ended(site):
    return site.states() == {FAILED: 1, SENT: NEIGHBOURS}


def test_p5_a_message_that_kills_its_relay_fails_alone_after_five_and_its_neighbours_arrive_once(
    tmp_path, postgresql_database, smtp_server
):
    place = Place(tmp_path, postgresql_database, smtp_server)
    site = Installation(place, 1 + NEIGHBOURS, {"LEASE_SECONDS": 2, "SMTP_MAX_SESSIONS": 1})
    site.fill()
    # at the head of the queue: whatever dies with it in hand was not offered before
    site.execute("UPDATE email_relay_message SET priority = 3 WHERE message_id = '<1@example.com>'")
    smtp_server.script = script = Killing()
    while not ended(site):
        with site.relay() as relay:
            script.victim = relay.pid
            wait_until(lambda relay=relay: not relay.running or ended(site), 120, "its death, or the end of all mail")
    assert script.kills == 5
    [(status, lapses, retries, log)] = site.execute(
        "SELECT status, lapse_count, retry_count, log FROM email_relay_message WHERE message_id = '<1@example.com>'"
    )
    assert (status, lapses, retries) == (FAILED, 5, 0)
    assert "died" in log
    arrived = Counter(to for message in smtp_server.received for to in message.rcpt_to)
    assert arrived == Counter(f"to{n}@example.com" for n in range(2, NEIGHBOURS + 2))
    assert site.execute("SELECT DISTINCT retry_count FROM email_relay_message WHERE status = 4") == [(0,)]
