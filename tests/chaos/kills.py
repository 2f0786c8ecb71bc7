"""kill -9: what had been sent and not recorded may arrive twice, nothing else; the leases of the dead are taken over."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Callable

from tests.chaos.fault import fault
from tests.chaos.installation import Installation, end_well
from tests.chaos.tally import Cost
from tests.support.processes import Process
from tests.support.waiting import wait_until

STILL_THEIRS = "SELECT 1 FROM email_relay_message WHERE status = 5 AND lease_token = ANY(%s) LIMIT 1"


class Death:
    """Of processes just killed: what they had in hand, and how long it lies there."""

    def __init__(self, site: Installation, *pids: int) -> None:
        self.at = time.monotonic()
        self.site, self.pids = site, pids
        self.held = site.held(*pids)

    def cost(self) -> Cost:
        """Once others have taken over."""
        tokens = list(self.held.values())
        wait_until(lambda: not self.site.execute(STILL_THEIRS, tokens), 60, "the leases of the dead to be taken over")
        return Cost(frozenset(self.held), len(self.pids), time.monotonic() - self.at)


@fault("kill -9 of a pool process", at_random=True)
def pool_process(site: Installation) -> Cost:
    with site.workers("one", "two") as workers:
        site.fill()
        site.in_the_middle()
        victim = random.choice(wait_until(site.at_work, 60, "a process at work"))
        os.kill(victim, signal.SIGKILL)
        cost = Death(site, victim).cost()
        site.wait_until_all_sent(*workers)
        end_well(workers)
    return cost


@fault("kill -9 of a worker's parent", at_random=True)
def parent(site: Installation) -> Cost:
    """The kernel kills its pool processes with it: Celery has it so."""
    return _worker_dies(site, lambda worker: worker.send(signal.SIGKILL))


@fault("kill -9 of a worker's whole group", at_random=True)
def group(site: Installation) -> Cost:
    return _worker_dies(site, lambda worker: worker.send_group(signal.SIGKILL))


def _worker_dies(site: Installation, kill: Callable[[Process], None]) -> Cost:
    """One of two dies at a random instant, and the other takes over."""
    with site.workers("one", "two") as (one, two):
        site.fill()
        site.in_the_middle()
        pool = one.children()
        kill(one)
        wait_until(lambda: not set(site.at_work()) & set(pool) & set(one.members()), 60, "the end of its pool")
        cost = Death(site, *pool).cost()
        site.wait_until_all_sent(two)
        end_well([two])
    return Cost(cost.recipients, 2, cost.seconds)


@fault("kill -9 of one of two runrelay", at_random=True)
def runrelay(site: Installation) -> Cost:
    site.fill()
    with site.relay() as one, site.relay() as other:
        site.in_the_middle()
        one.kill()
        cost = Death(site, one.pid).cost()
        site.wait_until_all_sent(other)
        end_well([other])
    return cost


@fault("kill -9 of both runrelay", at_random=True)
def both(site: Installation) -> Cost:
    """Nobody is left; a third, started later, ends the work."""
    site.fill()
    with site.relay() as one, site.relay() as other:
        site.in_the_middle()
        one.kill()
        first = site.held(one.pid)
        other.kill()
    last = Death(site, one.pid, other.pid)
    with site.relay() as third:
        cost = last.cost()
        site.wait_until_all_sent(third)
        end_well([third])
    return Cost(cost.recipients | frozenset(first), 2, cost.seconds)


@fault("SIGSTOP until the lease is over, then SIGCONT")
def stopped(site: Installation) -> Cost:
    """The late relay finds its leases lost, and overwrites nothing."""
    site.fill()
    with site.relay() as late:
        site.in_the_middle(20)
        late.send(signal.SIGSTOP)
        held = site.held(late.pid)
        with site.relay() as other:
            site.wait_until_all_sent(other)
            before = _rows(site)
            late.send(signal.SIGCONT)
            site.fill(20)
            site.wait_until_all_sent(late, other)
            end_well([late])
            assert _rows(site)[: len(before)] == before, "the late relay overwrote what another recorded"
            end_well([other])
    return Cost(frozenset(held), 1)


def _rows(site: Installation) -> list[tuple]:
    return site.execute(
        "SELECT id, status, worker, sent_at, log, queue_id, updated_at, lapse_count FROM email_relay_message ORDER BY id"
    )


FAULTS = (pool_process, parent, group, runrelay, both, stopped)
