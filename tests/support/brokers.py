"""Brokers for end-to-end tests, each apart from everybody else's.

Redis: a server of its own where the binary is installed (it may be stopped and started), else a key prefix in the one
that runs here. RabbitMQ: a virtual host of its own where rabbitmqctl may make one, else the given one. Filesystem: a
directory.
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
from tests.support.processes import Process
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

    def __post_init__(self) -> None:
        self.env.setdefault("CELERY_BROKER_URL", self.url)


@contextmanager
def filesystem_broker(directory: Path) -> Iterator[Broker]:
    """kombu's filesystem transport: the service keeps it below its working directory's ``var/``."""
    yield Broker("filesystem", "filesystem://")


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
        yield Broker("redis", f"redis://127.0.0.1:{server.port}/0", stop=server.stop, start=server.start)
    finally:
        server.stop()


def shared_redis() -> str:
    url = os.environ.get("TEST_REDIS_URL")
    if url is None and not listens(6379):
        raise NoBroker("no redis-server to start, and nothing listens on 127.0.0.1:6379")
    return url or "redis://127.0.0.1:6379/13"


class Redis:
    """A redis-server of our own on a free port; what it holds survives a stop and start."""

    def __init__(self, binary: str, directory: Path) -> None:
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
                return sock.recv(7) == b"+PONG\r\n"
        except OSError:
            return False

    def stop(self) -> None:
        if self.process.running:
            self.process.terminate()
        self.process.kill()


@contextmanager
def rabbitmq_broker(directory: Path) -> Iterator[Broker]:
    """A RabbitMQ; raises NoBroker."""
    url = os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/")
    if "TEST_RABBITMQ_URL" not in os.environ and not listens(5672):
        raise NoBroker("nothing listens on 127.0.0.1:5672, and TEST_RABBITMQ_URL is not set")
    vhost = unique_name("relay")
    if not control("add_vhost", vhost):
        yield Broker("rabbitmq", url)
        return
    try:
        control("set_permissions", "-p", vhost, "guest", ".*", ".*", ".*")
        yield Broker("rabbitmq", url.rstrip("/") + "/" + vhost)
    finally:
        control("delete_vhost", vhost)


def control(*arguments: str) -> bool:
    """rabbitmqctl, where there is one that may; whether it did."""
    binary = shutil.which("rabbitmqctl")
    if binary is None:
        return False
    return subprocess.run([binary, "-q", *arguments], capture_output=True, check=False, timeout=120).returncode == 0
