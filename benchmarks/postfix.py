"""Postfix as a relay: an instance of its own, with its configuration and queue in a folder of the run. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks.processes import tree_seconds
from benchmarks.record import Round
from benchmarks.servers import PATH, Sink, Watch, free_port, wait_until_it_listens

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
mail_owner = postfix
setgid_group = postdrop
multi_instance_name =
myhostname = relay.example.net
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_relay_restrictions = permit_mynetworks, reject
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
alias_maps =
alias_database =
message_size_limit = 0
relayhost = [127.0.0.1]:1
"""
MASTER = """\
{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
QUEUES = ("incoming", "active", "deferred", "hold", "defer", "maildrop", "bounce")


def available() -> bool:
    return os.geteuid() == 0 and all(shutil.which(name, path=PATH) for name in ("postfix", "smtp-source"))


class Postfix:
    """Started with an empty queue by *begin*, and stopped by *close*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "postfix"
        self.port = free_port()
        for name in ("etc", "spool", "data"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        shutil.chown(self.folder / "data", "postfix")
        (self.folder / "etc" / "main.cf").write_text(MAIN.format(folder=self.folder))
        (self.folder / "etc" / "master.cf").write_text(MASTER.format(port=self.port))
        self.up = False

    def _run(self, program: str, *arguments: str) -> None:
        command = [program, "-c", str(self.folder / "etc"), *arguments]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PATH": PATH})

    def begin(self, server_port: int, **settings: str) -> None:
        self.close()
        for name in QUEUES:
            shutil.rmtree(self.folder / "spool" / name, ignore_errors=True)
        self.configure(relayhost=f"[127.0.0.1]:{server_port}", **settings)
        self._run("postfix", "start")
        self.up = True
        wait_until_it_listens(self.port, "postfix")

    def configure(self, **settings: str) -> None:
        self._run("postconf", "-e", *(f"{name}={value}" for name, value in settings.items()))

    def close(self) -> None:
        if self.up:
            self._run("postfix", "stop")
            self.up = False

    def pid(self) -> int:
        return int((self.folder / "spool" / "pid" / "master.pid").read_text())

    def queued(self, queue: str) -> int:
        return sum(path.is_file() for path in (self.folder / "spool" / queue).rglob("*"))

    def inject(self, count: int, size: int) -> None:
        """Twenty sessions that are kept, as a busy site's."""
        addresses = ["-f", "from@example.com", "-t", "to@example.com", f"127.0.0.1:{self.port}"]
        command = ["smtp-source", "-d", "-s", "20", "-m", str(count), "-l", str(size), *addresses]
        subprocess.run(command, check=True, env={**os.environ, "PATH": PATH})

    def end_to_end(self, count: int, size: int, sink: Sink, port: int, timeout: float) -> Round:
        """From the start of the injection until all are at the sink."""
        self.begin(port)
        used = tree_seconds(self.pid())
        watch = Watch(sink, count, timeout)
        began = time.monotonic()
        self.inject(count, size)
        watch.join()
        seconds = (watch.last or time.monotonic()) - began
        cpu = 1000 * (tree_seconds(self.pid()) - used) / count
        self.close()
        return {"rate": count / seconds if watch.last else 0.0, "seconds": seconds, "cpu_ms": cpu, "steady_ms": cpu}

    def flush(self, count: int, size: int, sink: Sink, timeout: float) -> Round:
        """A full queue, every message of it deferred, and then told to go."""
        self.begin(sink.port, defer_transports="smtp")
        self.inject(count, size)
        deadline = time.monotonic() + timeout
        while self.queued("deferred") < count and time.monotonic() < deadline:
            time.sleep(0.1)
        self.configure(defer_transports="")
        self._run("postfix", "reload")
        time.sleep(1.5)  # the queue manager is another one after a reload, and nothing tells when it is ready
        watch = Watch(sink, count, timeout)
        began = time.monotonic()
        self._run("postqueue", "-f")
        rate = watch.rate()
        self.close()
        return {"rate": rate, "seconds": (watch.last or time.monotonic()) - began, "cpu_ms": None, "steady_ms": None}
