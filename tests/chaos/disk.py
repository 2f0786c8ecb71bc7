"""The database's disk is full: enqueue says so and writes nothing by halves; the relay waits, and goes on."""

from __future__ import annotations

import errno
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Iterator

from tests.chaos.fault import NotHere, fault
from tests.chaos.installation import Installation, end_well
from tests.support.databases import postgresql_database
from tests.support.waiting import wait_until

MEGABYTES = 48
SPACE = "chaos_small"
ENQUEUE = """
import sys, django; django.setup()
from django.core.mail import EmailMessage, get_connection
from email_relay.exceptions import QueueUnavailable
queue = get_connection("email_relay.backend.RelayDatabaseEmailBackend")
done = 0
try:
    for n in range(int(sys.argv[1]), int(sys.argv[1]) + 2000):
        message = EmailMessage("s", "b", "from@example.com", [f"to{n}@example.com"])
        message.attach("a.bin", bytes(range(256)) * 400, "application/octet-stream")
        queue.send_messages([message])
        done += 1
except QueueUnavailable as error:
    print(done, "refused:", error, "<-", type(error.__cause__).__name__)
"""


@fault("database disk full", own_postgres=True, LEASE_SECONDS=60)
def full(site: Installation) -> None:
    with small_disk(site) as disk:
        inner = Installation(replace(site.place, url=disk.url), site.messages, {"LEASE_SECONDS": 60})
        _fill_up(inner, disk)
        site.filled = inner.filled


class Disk:
    """A small disk with a database on it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url

    def fill(self) -> None:
        """To the last page."""
        with (self.folder / "filler").open("ab", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"\0" * 8192)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        (self.folder / "filler").unlink()


def _fill_up(site: Installation, disk: Disk) -> None:
    site.fill()
    disk.fill()
    said = site.project.run("-c", ENQUEUE, site.filled + 1)
    assert "refused:" in said, f"enqueue did not notice: {said}"
    site.filled += int(said.split()[0])
    [(rows,)] = site.execute("SELECT count(*) FROM email_relay_message")
    assert rows == site.filled, "what was refused left no row, what was accepted did"
    with site.relay() as relay:
        wait_until(lambda: "OperationalError" in relay.output, 60, lambda: f"trouble with the disk:\n{relay.tail()}")
        disk.free()
        site.wait_until_all_sent(relay)
        end_well([relay])
    assert not site.charged()


@contextmanager
def small_disk(site: Installation) -> Iterator[Disk]:
    """A tablespace on a mount of its own; only root may mount."""
    folder = site.place.folder / "disk"
    folder.mkdir()
    options = f"size={MEGABYTES}m,mode=0777"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        raise NotHere(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield from _database_on(site, folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _database_on(site: Installation, folder: Path) -> Iterator[Disk]:
    server = site.place.postgres
    assert server is not None
    space = folder / "space"
    space.mkdir()
    if server.user:
        shutil.chown(space, server.user)
    site.place.folder.chmod(0o755)
    site.administer(f"CREATE TABLESPACE {SPACE} LOCATION '{space}'")
    try:
        with postgresql_database("full", server.url, f"TABLESPACE {SPACE}") as url:
            try:
                yield Disk(folder, url)
            finally:
                (folder / "filler").unlink(missing_ok=True)
    finally:
        site.administer(f"DROP TABLESPACE {SPACE}")


FAULTS = (full,)
