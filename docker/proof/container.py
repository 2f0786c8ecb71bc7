"""An image run as an engine would with ``--read-only --cap-drop ALL``, in namespaces of its own, on a host of the network."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Mapping

from docker.proof.image import Image
from tests.support.network import Host
from tests.support.processes import Process
from tests.support.waiting import wait_until

MOUNTS = """
set -eu
root=$1; shift
uid=$1; shift
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
for volume in $1; do mount -t tmpfs -o "mode=0700,uid=$uid" tmpfs "$root$volume"; done
shift
cd /
exec "$@"
"""
WITHOUT_RIGHTS = ("--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs")


class Container:
    """A context manager: what runs in it dies with it."""

    def __init__(self, image: Image, host: Host, log: Path, env: Mapping[str, object]) -> None:
        self.image, self.host, self.log, self.env = image, host, log, {**image.env, **env}

    def start(self, *words: str) -> Process:
        """The entrypoint with these words, or with the image's own, as process 1."""
        volumes = " ".join(self.image.volumes)
        inner = ["sh", "-c", MOUNTS, "mounts", self.image.root, self.uid, volumes]
        inner += self._as_user(*self.image.entrypoint, *(words or self.image.cmd))
        apart = ["unshare", "--mount", "--ipc", "--pid", "--fork", "--kill-child"]
        self.process = Process(self.host.command(*apart, *inner), log=self.log)
        self.process.env = {name: str(value) for name, value in self.env.items()}
        return self.process

    @property
    def uid(self) -> str:
        return self.image.user.partition(":")[0]

    @property
    def first(self) -> int:
        """Process 1 of the container, as this machine numbers it; 0 when there is none (any more)."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = children.read_text(encoding="ascii").split() if children.exists() else []
        return int(pids[0]) if pids else 0

    def signal(self, name: str) -> None:
        """As the engine: to process 1 alone."""
        subprocess.run(["kill", "-s", name, str(wait_until(lambda: self.first, 30, "process 1"))], check=True)

    def execute(self, *words: str) -> subprocess.CompletedProcess[str]:
        """As ``docker exec``; its status is 1 when nothing runs."""
        enter = ["nsenter", "--target", str(self.first), "--mount", "--uts", "--ipc", "--net", "--pid"]
        command = list(map(str, [*enter, *self._as_user(*words)]))
        return subprocess.run(command, env=self.process.env, capture_output=True, text=True, check=False, timeout=120)

    def healthy(self) -> bool:
        """What the image's HEALTHCHECK says."""
        self.checked = self.execute(*self.image.healthcheck)
        return self.checked.returncode == 0

    def _as_user(self, *words: str) -> list[object]:
        uid, _, gid = self.image.user.partition(":")
        rights = ["setpriv", f"--reuid={uid}", f"--regid={gid or uid}", *WITHOUT_RIGHTS]
        into = ["sh", "-c", 'cd "$0" && exec "$@"', self.image.workdir]
        return ["chroot", self.image.root, *rights, *into, *words]
