"""Flower beside a live worker: it needs no option, tells what was done, and nothing that is not its business."""

from __future__ import annotations

import base64
import json
import shutil
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.conftest import needed
from tests.e2e.service import Service
from tests.support import databases, postgres
from tests.support.brokers import Broker, NoBroker, Redis
from tests.support.ports import free_port
from tests.support.smtpserver import Script, SmtpServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
DATABASE_PASSWORD, SMTP_PASSWORD, SECRET_KEY, BROKER_PASSWORD = (
    "db-hunter2",
    "smtp-hunter2",
    "key-hunter2",
    "broker-hunter2",
)
SECRETS = (DATABASE_PASSWORD, SMTP_PASSWORD, SECRET_KEY, BROKER_PASSWORD)
LOGIN = "ops:flower-password"


def refuse(address: str) -> str | None:
    return {"to1@example.com": "554 5.7.1 no", "to2@example.com": "451 4.7.1 later"}.get(address.strip("<>"))


class Flower:
    """Its web pages, as one who may log in reads them."""

    def __init__(self, port: int) -> None:
        self.site = f"http://127.0.0.1:{port}"

    def read(self, path: str) -> str:
        login = base64.b64encode(LOGIN.encode()).decode()
        request = urllib.request.Request(self.site + path, headers={"Authorization": f"Basic {login}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    def read_any(self, path: str) -> str:
        """The page, or what is said instead of it."""
        try:
            return self.read(path)
        except HTTPError as error:
            return error.read().decode()

    def tasks(self) -> dict:
        return json.loads(self.read("/api/tasks"))

    def drains(self) -> list[str]:
        """The results of the drains that are over."""
        found = [
            task for task in self.tasks().values() if task["name"] in {"email_relay.drain", "email_relay.dispatch"}
        ]
        return [task["result"] for task in found if task["state"] == "SUCCESS"]

    def is_up(self) -> bool:
        try:
            return bool(json.loads(self.read("/api/workers?refresh=1")))
        except OSError:
            return False


def with_password(url: str) -> str:
    """PostgreSQL trusts us here, and does not look at it."""
    user_at = url.partition("://")[2].partition("@")
    return f"postgresql://{user_at[0].partition(':')[0]}:{DATABASE_PASSWORD}@{user_at[2]}"


@contextmanager
def files(folder: Path):
    """What is used where no broker is named."""
    yield None


@contextmanager
def redis(folder: Path):
    """One that asks for a password."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise NoBroker("no redis-server to start")
    server = Redis(binary, folder, "--requirepass", BROKER_PASSWORD)
    server.start()
    try:
        yield Broker("redis", f"redis://:{BROKER_PASSWORD}@127.0.0.1:{server.port}/0")
    finally:
        server.stop()


@pytest.fixture(scope="module", params=[files, redis], ids=["files", "redis"])
def flower(request, tmp_path_factory):
    """A worker that has sent, refused and deferred, and Flower, which has seen it."""
    folder: Path = tmp_path_factory.mktemp("flower")
    port = free_port()
    smtp = SmtpServer(Script(on_rcpt=refuse), credentials={"relay": SMTP_PASSWORD})
    database = needed("PostgreSQL", databases.postgresql_database, postgres.NoServer)
    with database as url, needed("Redis", lambda: request.param(folder), NoBroker) as broker, smtp:
        service = Service(
            folder,
            with_password(url),
            broker,
            smtp,
            SECRET_KEY=SECRET_KEY,
            EMAIL_HOST_USER="relay",
            EMAIL_HOST_PASSWORD=SMTP_PASSWORD,
            FLOWER_PORT=port,
            FLOWER_BASIC_AUTH=LOGIN,
        )
        service.migrate()
        service.url = url
        flower = Flower(port)
        with service.worker(), service.process("-m", "celery", "-A", "relay_worker", "flower") as process:
            wait_until(flower.is_up, 90, lambda: f"Flower to know the worker:\n{process.tail()}", interval=0.5)
            service.clients("shop", count=4)
            wait_until(lambda: told(flower) == 4, 60, lambda: f"the results: {flower.tasks()}", interval=0.5)
            yield flower


def told(flower: Flower) -> int:
    """Messages of the source that the results speak of."""
    return sum(sum(eval(result)["sources"].get("shop", {}).values()) for result in flower.drains())


def test_the_results_tell_the_story(flower):
    results = [eval(result) for result in flower.drains()]
    assert {name: sum(result[name] for result in results) for name in ("sent", "failed", "deferred")} == {
        "sent": 2,
        "failed": 1,
        "deferred": 1,
    }
    assert all(result["server"].startswith("127.0.0.1:") for result in results)
    assert {(task["args"], task["kwargs"]) for task in flower.tasks().values()} == {("()", "{}")}


def test_its_pages_show_the_worker_and_the_tasks(flower):
    [worker] = json.loads(flower.read("/api/workers"))
    assert worker in flower.read("/workers")
    task = next(uuid for uuid, task in flower.tasks().items() if task["name"] == "email_relay.drain")
    page = flower.read(f"/task/{task}")
    assert "email_relay.drain" in page
    assert "sources" in page


def test_p13_no_content_address_or_secret_anywhere(flower):
    [worker] = json.loads(flower.read("/api/workers"))
    api = ("/api/workers?refresh=1", "/api/tasks", "/api/task/types")
    tasks = [f"/task/{uuid}" for uuid in flower.tasks()]
    for path in (*api, "/workers", f"/worker/{worker}", "/tasks", "/broker", "/metrics", *tasks):
        shown = flower.read_any(path)
        for secret in (*SECRETS, "@example.com", "plain 0", "html 1", "flower-password"):
            assert secret not in shown, (path, secret)
