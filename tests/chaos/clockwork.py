"""Broker emptied, beat stopped or doubled: latency, nothing else."""

from __future__ import annotations

import shutil
import signal
import socket
import time
from pathlib import Path
from typing import Callable
from urllib.parse import urlsplit

from tests.chaos.fault import fault
from tests.chaos.installation import Installation, end_well
from tests.support.brokers import Broker
from tests.support.waiting import wait_until

TIMES = 20


@fault("Redis emptied again and again", broker="redis", LEASE_SECONDS=60)
def redis_emptied(site: Installation) -> None:
    assert site.place.broker is not None
    broker = site.place.broker
    _emptied(site, lambda: flush(broker))


@fault("broker folder emptied again and again", LEASE_SECONDS=60)
def folder_emptied(site: Installation) -> None:
    _emptied(site, lambda: _clear(site.place.folder / "var" / "broker"))


def _emptied(site: Installation, empty: Callable[[], None]) -> None:
    """While mail comes in; and once more while nothing goes on."""
    with site.workers("one", "two") as workers:
        for _ in range(TIMES):
            site.fill(site.messages // TIMES)
            empty()
            time.sleep(0.05)
        site.wait_until_all_sent(*workers)
        empty()
        site.fill(10)
        site.wait_until_all_sent(*workers)
        end_well(workers)


def flush(broker: Broker) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(broker.url).port or 0), 10) as sock:
        sock.sendall(b"FLUSHALL\r\n")
        assert sock.recv(5) == b"+OK\r\n"


def _clear(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink(missing_ok=True)


@fault("broker folder removed", LEASE_SECONDS=60)
def folder_removed(site: Installation) -> None:
    with site.workers("one") as workers:
        site.fill()
        site.in_the_middle(5)
        shutil.rmtree(site.place.folder / "var" / "broker", ignore_errors=True)
        site.wait_until_all_sent(*workers)
        site.fill(10)
        site.wait_until_all_sent(*workers)
        end_well(workers)


@fault("beat killed in mid-drain, for good", EMPTY_QUEUE_SLEEP=2, LEASE_SECONDS=60)
def beat_killed(site: Installation) -> None:
    """The notifications of the database go on, so new mail is sent too."""
    with site.workers("one", beat=False) as workers, site.beat() as beat:
        site.fill()
        site.in_the_middle()
        beat.send(signal.SIGKILL)
        site.wait_until_all_sent(*workers)
        wait_until(lambda: _at_rest(site), 60, "the last of beat's tasks to be over")
        site.fill(10)
        site.wait_until_all_sent(*workers)
        end_well(workers)


def _at_rest(site: Installation) -> bool:
    """No task lies in the broker's folder, and none is at work."""
    waiting = list((site.place.folder / "var" / "broker" / "queue").glob("*.msg"))
    return not waiting and not site.execute("SELECT 1 FROM email_relay_worker WHERE busy OR idle_until < now()")


@fault("two beats", LEASE_SECONDS=60)
def two_beats(site: Installation) -> None:
    with site.workers("one", "two") as workers:
        for _ in range(4):
            site.fill(site.messages // 4)
            time.sleep(0.3)
        site.wait_until_all_sent(*workers)
        end_well(workers)


@fault("two runrelay at once", LEASE_SECONDS=60)
def two_relays(site: Installation) -> None:
    site.fill()
    with site.relay() as one, site.relay() as other:
        site.wait_until_all_sent(one, other)
        end_well([one, other])


FAULTS = (redis_emptied, folder_emptied, folder_removed, beat_killed, two_beats, two_relays)
