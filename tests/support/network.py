"""Several hosts on one machine: network namespaces on a bridge of their own, each with its host name.

``Network.address`` is this machine as the hosts see it. They reach what listens there, and through ``forward`` a server
of this machine's loopback; nothing leads out. Leaving the context kills what runs on the hosts and takes them down; what
a killed test left behind goes when the next network is made.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from tests.support.forwarding import Forwarder
from tests.support.waiting import wait_until

PREFIX = "relay"


class NoNetwork(Exception):
    """This machine, or this user, cannot make network namespaces."""


@dataclass(frozen=True)
class Host:
    """A network namespace with a name and an address."""

    name: str
    namespace: str
    address: str

    def command(self, *words: object) -> list[str]:
        """*words*, run on this host."""
        enter = ["ip", "netns", "exec", self.namespace, "unshare", "--uts"]
        return [*enter, "sh", "-c", 'hostname "$0" && exec "$@"', self.name, *map(str, words)]

    def kill(self) -> None:
        """kill -9 for every process of the host at once, as if its power failed."""
        wait_until(lambda: not self._kill(), 30, f"the end of {self.name}")

    def _kill(self) -> list[int]:
        pids = [int(pid) for pid in ip("netns", "pids", self.namespace).split()]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pids


class Network:
    """A bridge and the hosts on it; a context manager."""

    def __init__(self) -> None:
        self.owner = f"{PREFIX}{os.getpid()}"
        self.hosts: list[Host] = []

    def __enter__(self) -> Network:  # noqa: PYI034 - Self is not in 3.8
        if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare"))):
            raise NoNetwork("it takes root, and the programs ip and unshare")
        sweep()
        self.subnet = free_subnet()
        self.address = f"{self.subnet}.1"
        self.stack = ExitStack()
        self.stack.callback(self._down)
        try:
            ip("link", "add", self.owner, "type", "bridge")
            ip("address", "add", f"{self.address}/24", "dev", self.owner)
            ip("link", "set", self.owner, "up")
        except subprocess.CalledProcessError as error:
            self.stack.close()
            raise NoNetwork(error.stderr.strip()) from error
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def host(self, name: str) -> Host:
        number = len(self.hosts) + 1
        namespace, outer = f"{self.owner}-{number}", f"{self.owner}v{number}"
        host = Host(name, namespace, f"{self.subnet}.{number + 1}")
        self.hosts.append(host)
        ip("netns", "add", namespace)
        ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        ip("link", "set", outer, "master", self.owner, "up")
        ip("-n", namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", namespace, "link", "set", device, "up")
        return host

    def forward(self, port: int) -> int:
        """A port on ``address`` that leads to *port* on this machine's loopback."""
        return self.stack.enter_context(Forwarder(self.address, port)).port

    def _down(self) -> None:
        for host in self.hosts:
            host.kill()
        take_down(self.owner)


def ip(*words: object) -> str:
    command = ["ip", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def free_subnet() -> str:
    """A network of the range for benchmarks (RFC 2544) that this machine does not use."""
    used = ip("-4", "-oneline", "address")
    return next(net for net in (f"198.18.{(os.getpid() + n) % 250}" for n in range(250)) if f" {net}." not in used)


def sweep() -> None:
    """Take down the networks whose test was killed."""
    names = ip("netns", "list") + ip("-brief", "link", "show", "type", "bridge")
    for owner in set(re.findall(rf"^{PREFIX}\d+", names, re.MULTILINE)):
        if not Path("/proc", owner[len(PREFIX) :]).exists():
            take_down(owner)


def take_down(owner: str) -> None:
    namespaces: Sequence[str] = re.findall(rf"^{owner}-\d+", ip("netns", "list"), re.MULTILINE)
    for namespace in namespaces:
        Host("", namespace, "").kill()
        ip("netns", "delete", namespace)
    with suppress(subprocess.CalledProcessError):  # there may be none yet
        ip("link", "delete", owner)
