"""What the soak does to its installation now and then; each harm heals within seconds, and says which mail may come twice."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable, Iterator

from tests.chaos.clockwork import flush
from tests.chaos.databases import TERMINATE, locked, no_writes
from tests.support.processes import Process
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.chaos.soak import Soak

Harm = Callable[["Soak"], "set[str]"]
IN_DOUBT = "SELECT recipients ->> 0 FROM email_relay_message WHERE status IN (2, 5)"


def kill_runrelay(soak: Soak) -> set[str]:
    relay = soak.relay
    relay.kill()
    held = soak.site.held(relay.pid)
    soak.relay = soak.site.relay().start()
    return set(held)


def kill_worker(soak: Soak) -> set[str]:
    members = soak.worker.members()
    soak.worker.kill()
    held = soak.site.held(*members)
    soak.worker = soak.site.worker("one").start()
    return set(held)


def kill_pool_process(soak: Soak) -> set[str]:
    soak.worker.wait_ready(" ready.", 120)
    children = soak.worker.children()
    at_work = [pid for pid in soak.site.at_work() if pid in children]
    victim = random.choice(at_work or children)
    os.kill(victim, signal.SIGKILL)
    return set(soak.site.held(victim))


def terminate_runrelay(soak: Soak) -> set[str]:
    _ends_well(soak, soak.relay)
    soak.relay = soak.site.relay().start()
    return set()


def terminate_worker(soak: Soak) -> set[str]:
    soak.worker.wait_ready(" ready.", 120)
    _ends_well(soak, soak.worker)
    soak.worker = soak.site.worker("one").start()
    return set()


def _ends_well(soak: Soak, process: Process) -> None:
    members = process.members()
    process.send_group(signal.SIGTERM)
    try:
        wait_until(lambda: not process.group_running, 60, "the end of the whole group")
    except AssertionError as error:
        raise AssertionError(f"{process.tail(20)}\n{process.stacks()}") from error
    assert process.wait(1) == 0, process.tail()
    assert not soak.site.held(*members), "something is still in the hand of a relay that has ended"


def stop_past_the_lease(soak: Soak) -> set[str]:
    soak.relay.send(signal.SIGSTOP)
    held = soak.site.held(soak.relay.pid)
    time.sleep(soak.lease + 2)
    soak.relay.send(signal.SIGCONT)
    return set(held)


def kill_connections(soak: Soak) -> set[str]:
    with _cut_off(soak) as in_doubt:
        for _ in range(10):
            soak.site.administer(TERMINATE.format(soak.site.database))
            time.sleep(0.1)
    return in_doubt


def restart_postgres(soak: Soak) -> set[str]:
    server = soak.site.place.postgres
    assert server is not None
    with _cut_off(soak) as in_doubt:
        server.down(random.choice(["fast", "immediate"]))
        server.up()
    return in_doubt


def read_only(soak: Soak) -> set[str]:
    with _cut_off(soak) as in_doubt, no_writes(soak.site):
        time.sleep(2)
    return in_doubt


def lock(soak: Soak) -> set[str]:
    with _cut_off(soak) as in_doubt, locked(soak.site):
        time.sleep(2)
    return in_doubt


@contextmanager
def _cut_off(soak: Soak) -> Iterator[set[str]]:
    """What was in hand is in doubt only where this took so long that a lease may be over before the relay tries again."""
    in_doubt: set[str] = set()
    held, began = set(soak.site.held()), time.monotonic()
    yield in_doubt
    if time.monotonic() - began > soak.lease / 2:
        in_doubt |= held | set(soak.site.held())


def empty_broker(soak: Soak) -> set[str]:
    assert soak.site.place.broker is not None
    flush(soak.site.place.broker)
    return set()


def smtp_away(soak: Soak) -> set[str]:
    """What the server took as it went away may not have been told to the relay."""
    held = set(soak.site.held())
    soak.site.smtp.pause()
    held |= {to for (to,) in soak.site.execute(IN_DOUBT)}
    time.sleep(3)
    soak.site.smtp.resume()
    return held


HARMS: tuple[Harm, ...] = (
    kill_runrelay,
    kill_worker,
    kill_pool_process,
    terminate_runrelay,
    terminate_worker,
    stop_past_the_lease,
    kill_connections,
    restart_postgres,
    read_only,
    lock,
    empty_broker,
    smtp_away,
)
DYING: dict[Harm, int] = {
    kill_runrelay: 1,
    kill_worker: 2,
    kill_pool_process: 1,
    terminate_runrelay: 0,
    terminate_worker: 0,
    stop_past_the_lease: 1,
    empty_broker: 0,
}
"""How many processes such a harm cuts off in mid-sending; the others cut off all there are."""
