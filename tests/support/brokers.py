"""Brokers for end-to-end tests, each apart from everybody else's.

Redis, RabbitMQ: a server of its own where the binary is installed, which may be stopped, started and emptied; else the one
that runs here. Filesystem: a directory.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

from tests.support.databases import unique_name
from tests.support.ports import free_port, listens
from tests.support.processes import Process, environment
from tests.support.waiting import wait_until


class NoBroker(Exception):
    """There is no such broker on this machine."""


@dataclass
class Broker:
    """Where a worker finds its broker."""

    name: str
    url: str
    env: dict[str, str] = field(default_factory=dict)
    """What to put into a process' environment, CELERY_BROKER_URL among it."""
    stop: Callable[[], None] | None = None
    """Takes the broker down; None where it is not ours to take down."""
    start: Callable[[], None] | None = None
    empty: Callable[[], object] | None = None
    """Loses every message it holds."""
    control: Callable[..., str] | None = None
    """rabbitmqctl, where that is what it is."""

    def __post_init__(self) -> None:
        self.env.setdefault("CELERY_BROKER_URL", self.url)


@contextmanager
def filesystem_broker(directory: Path) -> Iterator[Broker]:
    """kombu's filesystem transport, below a ``var/`` of its own; it is stopped by taking its folder away."""
    folder = Path(directory) / "var" / "broker"
    yield Broker(
        "filesystem",
        "filesystem://",
        {"RELAY_VAR": str(folder.parent)},
        stop=lambda: shutil.rmtree(folder),
        start=lambda: None,
        empty=lambda: delete_files(folder / "queue"),
    )


def delete_files(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink(missing_ok=True)


@contextmanager
def redis_broker(directory: Path) -> Iterator[Broker]:
    """A Redis; raises NoBroker."""
    binary = shutil.which("redis-server")
    if binary is None:
        yield Broker("redis", shared_redis())
        return
    server = Redis(binary, directory)
    server.start()
    try:
        yield Broker(
            "redis", f"redis://127.0.0.1:{server.port}/0", stop=server.stop, start=server.start, empty=server.empty
        )
    finally:
        server.stop()


def shared_redis() -> str:
    url = os.environ.get("TEST_REDIS_URL")
    if url is None and not listens(6379):
        raise NoBroker("no redis-server to start, and nothing listens on 127.0.0.1:6379")
    return url or "redis://127.0.0.1:6379/13"


class Redis:
    """A redis-server of our own on a free port; what it holds survives a stop and start."""

    def __init__(self, binary: str, directory: Path, *more: str) -> None:
        self.port = free_port()
        self.directory = Path(directory)
        self.process = Process(
            [
                binary,
                "--port",
                self.port,
                "--bind",
                "127.0.0.1",
                "--dir",
                directory,
                "--save",
                "",
                "--appendonly",
                "yes",
                *more,
            ],
            log=self.directory / "redis.log",
        )

    def start(self) -> None:
        self.process.start()
        wait_until(self.answers, 60, lambda: f"Redis to answer:\n{self.process.tail()}")

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                sock.sendall(b"PING\r\n")
                return sock.recv(7) in {b"+PONG\r\n", b"-NOAUTH"}
        except OSError:
            return False

    def empty(self) -> None:
        """Whatever it holds, Celery's own records of queues and their bindings too."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            sock.sendall(b"FLUSHALL\r\n")
            assert sock.recv(5) == b"+OK\r\n"

    def stop(self) -> None:
        if self.process.running:
            self.process.terminate()
        self.process.kill()


@contextmanager
def rabbitmq_broker(directory: Path) -> Iterator[Broker]:
    """A RabbitMQ; raises NoBroker."""
    binary = next((str(path) for path in RABBITMQ if path.exists()), None)
    if binary is None:
        if "TEST_RABBITMQ_URL" not in os.environ and not listens(5672):
            raise NoBroker("no rabbitmq-server to start, nothing on 127.0.0.1:5672, and TEST_RABBITMQ_URL is not set")
        yield Broker("rabbitmq", os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/"))
        return
    node = RabbitMQ(binary, Path(directory))
    node.start()
    try:
        yield Broker(
            "rabbitmq",
            f"amqp://guest:guest@127.0.0.1:{node.port}//",
            stop=node.stop,
            start=node.start,
            empty=lambda: node.control("purge_queue", "email_relay"),
            control=node.control,
        )
    finally:
        node.stop()


# Debian's command of that name insists on a user of its own
RABBITMQ = [Path(folder) / "rabbitmq-server" for folder in ("/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin")]


class RabbitMQ:
    """A node of our own, with its own data, ports and cookie; what is durable survives a stop and start."""

    def __init__(self, binary: str, directory: Path, *more: str) -> None:
        self.port = free_port()
        self.name = f"{unique_name('relay')}@localhost"
        plugins = directory / "enabled_plugins"
        plugins.write_text("[].\n")
        self.env = {
            "HOME": directory,
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_DIST_PORT": free_port(),
            "RABBITMQ_MNESIA_BASE": directory / "data",
            "RABBITMQ_LOG_BASE": directory / "log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": directory / "pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": plugins,
            "RABBITMQ_CONFIG_FILE": directory / "none",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "LANG": "C.UTF-8",
        }
        self.process = Process([binary], log=directory / "rabbitmq.log", env=self.env, cwd=directory)

    def start(self) -> None:
        self.process.start()
        wait_until(self.answers, 120, lambda: f"RabbitMQ to answer:\n{self.process.tail()}", interval=0.2)

    def answers(self) -> bool:
        """Whether it begins its side of the AMQP handshake."""
        assert self.process.running, self.process.tail()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                sock.sendall(b"AMQP\x00\x00\x09\x01")
                return sock.recv(1) == b"\x01"
        except OSError:
            return False

    def stop(self) -> None:
        """Without a farewell: what a crash of its machine is like."""
        self.process.kill()

    def control(self, *arguments: str) -> str:
        binary = Path(self.process.command[0]).with_name("rabbitmqctl")
        command = [str(binary), "-q", "-n", self.name, *arguments]
        env = environment(self.env)
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=120).stdout
