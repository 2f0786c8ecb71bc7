"""Build the image's stages in chroots, then see it work: ``python -m docker.proof``, as root, with debootstrap installed.

PostgreSQL is the one of the tests; the SMTP server and the network are this program's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Callable

from docker.proof.container import Container
from docker.proof.image import Builder, Image
from tests.support.databases import postgresql_database
from tests.support.network import Host, Network
from tests.support.processes import ROOT, environment
from tests.support.smtpserver import SmtpServer
from tests.support.urls import parse_url
from tests.support.waiting import wait_until

GRACE_SECONDS = 60
"""``stop_grace_period`` of compose.yaml."""
COMPILERS = ("cc", "gcc", "g++", "c99", "clang", "make", "rustc", "cargo")
ROLES = {"beat": "beat: Starting", "web": "Booting worker", "flower": "Connected to", "run": "relay started"}
"""And what each says once it is there: before its handlers are in place, process 1 ignores SIGTERM."""


class Proof:
    """One image, one network, one database; each method shows one thing."""

    def __init__(self, image: Image, stack: ExitStack, folder: Path) -> None:
        self.image, self.folder = image, folder
        self.network = stack.enter_context(Network())
        self.smtp = stack.enter_context(SmtpServer(host=self.network.address))
        self.url = stack.enter_context(postgresql_database("proof"))
        server = parse_url(self.url)
        port = self.network.forward(int(server["PORT"]))
        self.env = {
            "DATABASE_URL": f"postgres://{server['USER']}@{self.network.address}:{port}/{server['NAME']}",
            "EMAIL_HOST": self.network.address,
            "EMAIL_PORT": self.smtp.port,
            "DJANGO_EMAIL_RELAY__EMPTY_QUEUE_SLEEP": 1,
        }

    def container(self, name: str, **env: object) -> Container:
        host: Host = self.network.host(name)
        return Container(self.image, host, self.folder / f"{name}.log", {**self.env, **env})

    def no_compiler_and_no_root(self) -> None:
        found = [name for name in COMPILERS if shutil.which(name, path=search_path(self.image))]
        assert not found, f"in the final stage: {found}"
        assert self.image.user.partition(":")[0] not in {"", "0", "root"}, self.image.user

    def a_missing_database_is_said(self) -> None:
        absent = "postgres://relay:secret-word@127.0.0.1:1/relay"
        container = self.container("early", DATABASE_URL=absent, DATABASE_WAIT_SECONDS=1)
        with container.start() as process:
            assert process.wait(60) != 0
            assert "cannot be reached" in process.output, process.output
            assert "secret-word" not in process.output

    def the_worker_delivers_and_stops(self) -> None:
        container = self.container("worker")
        with container.start() as process:
            process.wait_ready(" ready.", 120)
            assert container.execute("id", "-u").stdout.strip() == container.uid
            for path in ("/etc/touched", "/opt/relay/touched", "/usr/local/bin/touched"):
                assert "Read-only" in container.execute("touch", path).stderr, path
            self._client_sends_one()
            assert len(self.smtp.wait_for(1)) == 1
            assert container.healthy(), container.checked
            container.signal("STOP")
            assert not container.healthy(), "a worker that hangs is called healthy"
            container.signal("CONT")
            wait_until(container.healthy, 60, lambda: f"health: {container.checked}")
            container.signal(self.image.stop_signal.removeprefix("SIG"))
            assert process.wait(GRACE_SECONDS) == 0, process.tail()
        assert not container.healthy()

    def every_other_role_is_healthy_and_stops(self) -> None:
        for role, sign in ROLES.items():
            self._role(role, sign)

    def _role(self, role: str, sign: str) -> None:
        container = self.container(role)
        with container.start(role) as process:
            process.wait_ready(sign, 60)
            wait_until(container.healthy, 60, lambda: f"{role}: {container.checked}\n{process.tail()}", interval=0.5)
            container.signal(self.image.stop_signal.removeprefix("SIG"))
            assert process.wait(GRACE_SECONDS) == 0, process.tail()

    def _client_sends_one(self) -> None:
        command = [sys.executable, "-m", "tests.e2e.client", "proof", "1"]
        subprocess.run(command, env=environment({"DATABASE_URL": self.url}), cwd=ROOT, check=True, timeout=120)


def search_path(image: Image) -> str:
    return os.pathsep.join(str(image.inside(folder)) for folder in image.env["PATH"].split(os.pathsep))


def show(what: Callable[[], None]) -> None:
    began = time.monotonic()
    what()
    print(f"ok {time.monotonic() - began:5.1f} s  {what.__name__.replace('_', ' ')}", flush=True)


def main() -> None:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise SystemExit("The proof needs root, and debootstrap (Debian: apt-get install debootstrap).")
    with tempfile.TemporaryDirectory(prefix="relay-image-", dir="/var/tmp") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        began = time.monotonic()
        image = Builder(ROOT, folder).build((ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8"))
        print(f"built in {time.monotonic() - began:.0f} s", flush=True)
        proof = Proof(image, stack, folder)
        show(proof.no_compiler_and_no_root)
        show(proof.a_missing_database_is_said)
        show(proof.the_worker_delivers_and_stops)
        show(proof.every_other_role_is_healthy_and_stops)


if __name__ == "__main__":
    main()
