"""Asked to stop in mid-drain: nothing is lost, nothing doubled, and the end comes within the grace time."""

from __future__ import annotations

import signal
import socket
import time
from typing import Callable

from tests.chaos.fault import fault
from tests.chaos.installation import Installation, end_well
from tests.chaos.tally import Cost
from tests.support.processes import Process
from tests.support.waiting import wait_until

GRACE_SECONDS = 30
"""The worker's soft shutdown time, and what the unit and container files give it at least."""


@fault("SIGTERM to runrelay", at_random=True)
def runrelay(site: Installation) -> Cost:
    site.fill()
    with site.relay() as one, site.relay() as other:
        site.in_the_middle()
        seconds = _ends(site, one, lambda relay: relay.send_group(signal.SIGTERM))
        site.wait_until_all_sent(other)
        end_well([other])
    return Cost(seconds=seconds)


@fault("SIGTERM to a worker's main process", at_random=True)
def main_process(site: Installation) -> Cost:
    return _worker_stops(site, lambda worker: worker.send(signal.SIGTERM))


@fault("SIGTERM to a worker's whole group", at_random=True)
def whole_group(site: Installation) -> Cost:
    return _worker_stops(site, lambda worker: worker.send_group(signal.SIGTERM))


@fault("warm shutdown by remote control", at_random=True)
def remote_control(site: Installation) -> Cost:
    def ask(_: Process) -> None:
        node = f"one@{socket.gethostname()}"
        with site.service.process("-m", "celery", "-A", "relay_worker", "control", "shutdown", "-d", node) as command:
            command.wait()

    return _worker_stops(site, ask)


def _worker_stops(site: Installation, ask: Callable[[Process], None]) -> Cost:
    """One of two is asked, at a random instant; the other goes on."""
    with site.workers("one", "two") as (one, two):
        site.fill()
        site.in_the_middle()
        seconds = _ends(site, one, ask)
        site.wait_until_all_sent(two)
        end_well([two])
    return Cost(seconds=seconds)


def _ends(site: Installation, process: Process, ask: Callable[[Process], None]) -> float:
    members = process.members()
    asked = time.monotonic()
    ask(process)
    assert process.wait(GRACE_SECONDS) == 0, process.tail()
    wait_until(lambda: not process.group_running, GRACE_SECONDS, "the end of the whole group")
    seconds = time.monotonic() - asked
    held = site.held(*members)
    assert not held, f"{len(held)} messages are still in the hand of a relay that has ended"
    return seconds


FAULTS = (runrelay, main_process, whole_group, remote_control)
