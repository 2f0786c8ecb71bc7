"""Fixtures of the whole suite: servers and databases, each a test's own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Callable, Iterator

import pytest

from tests.support import brokers, databases, mariadb, postgres
from tests.support.brokers import Broker, NoBroker
from tests.support.needs import missing
from tests.support.smtpserver import SmtpServer
from tests.support.tls import Authority


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """A well-behaved SMTP server that keeps what it gets; a mistake in its script fails the test."""
    with SmtpServer() as server:
        yield server
    assert not server.errors


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority; ``authority.ca`` is the file to trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def postgresql_database() -> Iterator[str]:
    """The URL of an empty PostgreSQL database, for processes."""
    with needed("PostgreSQL", databases.postgresql_database, postgres.NoServer) as url:
        yield url


@pytest.fixture
def mariadb_database() -> Iterator[str]:
    """The URL of an empty MariaDB database, for processes."""
    with needed("MariaDB", databases.mariadb_database, mariadb.NoServer) as url:
        yield url


@pytest.fixture
def redis_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    directory = tmp_path_factory.mktemp("redis")
    with needed("Redis", lambda: brokers.redis_broker(directory), NoBroker) as broker:
        yield broker


@pytest.fixture
def rabbitmq_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    directory = tmp_path_factory.mktemp("rabbitmq")
    with needed("RabbitMQ", lambda: brokers.rabbitmq_broker(directory), NoBroker) as broker:
        yield broker


@pytest.fixture
def filesystem_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with brokers.filesystem_broker(tmp_path_factory.mktemp("filesystem")) as broker:
        yield broker


@pytest.fixture(params=["filesystem", "redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each of the three brokers in turn."""
    return request.getfixturevalue(request.param + "_broker")


@contextmanager
def needed(what: str, make: Callable, absent: type[BaseException]) -> Iterator:
    """What *make* gives; where it raises *absent* the test is skipped, or in CI failed."""
    manager = make()
    try:
        thing = manager.__enter__()
    except absent as error:
        missing(what, error)
    try:
        yield thing
    finally:
        manager.__exit__(None, None, None)
