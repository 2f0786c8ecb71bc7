"""The faults: each is injected into a drain under way, and says what became of the mail."""

from __future__ import annotations

import signal
from typing import Callable

from tests.chaos.installation import QUEUED, SENDING, SENT, Installation, Tally
from tests.support.processes import Process
from tests.support.waiting import wait_until

MESSAGES = 200
WINDOW = 2 * 16 + 100
"""Most that may be unrecorded: two messages in each session, and one flush of verdicts."""
SLOWLY = 0.02
"""Seconds before each reply, so that the fault comes in the middle."""


def kill_9(site: Installation) -> Tally:
    """A relay is killed in mid-drain; what it had not recorded may arrive twice, and another takes over."""
    with site.relay() as relay:
        _in_the_middle(site)
        relay.kill()
    site.wait_for_quiet()
    unrecorded = len(site.smtp.received) - site.states()[SENT]
    _finish(site)
    return site.tally("kill -9", allowed=min(unrecorded, WINDOW))


def sigterm(site: Installation) -> Tally:
    """A relay is asked to stop in mid-drain: it records and gives back all it has, and ends well."""
    with site.relay() as relay:
        _in_the_middle(site)
        assert relay.terminate() == 0, relay.tail()
    states = site.states()
    assert states[SENDING] == 0
    assert states[SENT] == len(site.smtp.received)
    _finish(site)
    return site.tally("SIGTERM")


def stopped_past_its_lease(site: Installation) -> Tally:
    """A relay is stopped until its leases are over and another has sent its mail; then it goes on, and changes nothing."""
    with site.relay() as late:
        _in_the_middle(site)
        late.send(signal.SIGSTOP)
        sessions = site.smtp.session_count
        site.smtp.script.delay = 0
        with site.relay() as other:
            site.wait_until_all_sent(other)
            unrecorded = _begun(site, sessions) - _recorded(site, late)
            before = _rows(site)
            late.send(signal.SIGCONT)
            site.fill(20)
            site.wait_until_all_sent(late, other)
            assert late.terminate() == 0, late.tail()
            assert _rows(site)[: len(before)] == before, "the late relay overwrote what another recorded"
            other.terminate()
    return site.tally("SIGSTOP past the lease", allowed=min(unrecorded, WINDOW))


def connections_killed(site: Installation) -> Tally:
    """The database drops every connection, three times in one drain."""
    with site.relay() as relay:
        for done in (20, 60, 100):
            _in_the_middle(site, done)
            site.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        site.smtp.script.delay = 0
        site.wait_until_all_sent(relay)
        assert relay.terminate() == 0
    return site.tally("database connections killed")


def server_away(site: Installation) -> Tally:
    """No SMTP server at first: nothing is charged to any message, and the relay goes on by itself when it is there."""
    site.smtp.pause()
    with site.relay() as relay:
        wait_until(
            lambda: site.execute("SELECT 1 FROM email_relay_server WHERE opened_at IS NOT NULL"),
            60,
            lambda: f"the circuit to open\n{relay.tail()}",
            interval=0.1,
        )
        wait_until(lambda: site.states()[QUEUED] == site.filled, 60, "everything to be given back")
        site.smtp.script.delay = 0
        site.smtp.resume()
        site.execute("UPDATE email_relay_server SET probe_at = now()")
        site.wait_until_all_sent(relay)
        relay.terminate()
    assert not site.execute("SELECT 1 FROM email_relay_message WHERE retry_count > 0 OR lapse_count > 0")
    return site.tally("SMTP server away")


def two_relays(site: Installation) -> Tally:
    """Two relays drain the same queue."""
    with site.relay() as one, site.relay() as other:
        site.wait_until_all_sent(one, other)
        assert [one.terminate(), other.terminate()] == [0, 0]
    return site.tally("two relays at once")


def twice_killed(site: Installation) -> Tally:
    """One of two relays is killed, then the other; a third ends the work."""
    with site.relay() as one, site.relay() as other:
        _in_the_middle(site, 20)
        one.kill()
        _in_the_middle(site, 60)
        other.kill()
    site.wait_for_quiet()
    unrecorded = len(site.smtp.received) - site.states()[SENT]
    _finish(site)
    return site.tally("kill -9 of both relays", allowed=min(unrecorded, 2 * WINDOW))


FAULTS: tuple[Callable[[Installation], Tally], ...] = (
    kill_9,
    sigterm,
    stopped_past_its_lease,
    connections_killed,
    server_away,
    two_relays,
    twice_killed,
)


def inject(fault: Callable[[Installation], Tally], site: Installation, messages: int = MESSAGES) -> Tally:
    site.fill(messages)
    site.smtp.script.delay = SLOWLY
    return fault(site)


def _in_the_middle(site: Installation, done: int = 20) -> None:
    site.smtp.wait_for(done, 90)


def _finish(site: Installation) -> None:
    site.smtp.script.delay = 0
    with site.relay() as relay:
        site.wait_until_all_sent(relay)
        relay.terminate()


def _rows(site: Installation) -> list:
    return site.execute(
        "SELECT id, status, worker, sent_at, log, queue_id, updated_at, lapse_count FROM email_relay_message ORDER BY id"
    )


def _begun(site: Installation, sessions: int) -> int:
    """How many messages were offered in the first so many sessions."""
    lines = list(site.smtp.commands)
    return sum(line.upper().startswith("RCPT") for session, line in lines if session <= sessions)


def _recorded(site: Installation, relay: Process) -> int:
    return site.execute(
        "SELECT count(*) FROM email_relay_message WHERE status = 4 AND worker LIKE %s", f"%:{relay.pid}"
    )[0][0]
