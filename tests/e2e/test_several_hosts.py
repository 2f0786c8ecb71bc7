"""Workers on several hosts, each with a network, a name and a beat of its own: network namespaces stand in for machines."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager

import pytest

from tests.conftest import needed
from tests.e2e.service import SENDING, WORKER, Service, assert_exactly_once
from tests.support.brokers import Broker
from tests.support.network import Network, NoNetwork
from tests.support.processes import Process
from tests.support.smtpserver import SmtpServer
from tests.support.urls import parse_url
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
NAMES = ("relay-a", "relay-b")


@pytest.fixture
def network():
    with needed("a network of namespaces", Network, NoNetwork) as network:
        yield network


@pytest.fixture
def smtp(network):
    """So slow that there is always mail left for the other host."""
    with SmtpServer(host=network.address) as server:
        server.script.delay = 0.1
        yield server
    assert not server.errors


@pytest.fixture
def hosts(network):
    return [network.host(name) for name in NAMES]


@pytest.fixture
def service(tmp_path, network, postgresql_database, redis_broker, smtp):
    """Database and broker as the hosts reach them."""
    server, broker_port = parse_url(postgresql_database), int(redis_broker.url.rpartition(":")[2].partition("/")[0])
    port = network.forward(int(server["PORT"]))
    url = f"postgresql://{server['USER']}@{network.address}:{port}/{server['NAME']}"
    broker = Broker("redis", f"redis://{network.address}:{network.forward(broker_port)}/0")
    service = Service(tmp_path, url, broker, smtp)
    service.migrate()
    return service


@contextmanager
def worker_on(service, host, **variables):
    """A worker with beat; its files are the host's own."""
    env = {**service.env, "RELAY_VAR": service.folder / host.name, **variables}
    command = host.command(sys.executable, *WORKER)
    with Process(command, log=service.folder / f"{host.name}.log", env=env, cwd=service.folder) as process:
        process.wait_ready(" ready.", 90)
        yield process


def by_host(smtp):
    """How many messages came from each address."""
    return Counter(message.peer[0] for message in list(smtp.received))


def wait_for_both(smtp, hosts, count=20):
    wait_until(
        lambda: all(by_host(smtp)[host.address] >= count for host in hosts),
        90,
        lambda: f"mail from both: {by_host(smtp)}",
    )


def in_hand(service, host):
    """How many messages the host has claimed and not settled."""
    return len(service.rows("id", f"status = {SENDING} AND worker LIKE '{host.name}:%'"))


def test_p1_a_host_is_killed_and_the_other_takes_over_within_a_lease(service, smtp, hosts):
    first, second = hosts
    # only the leases of the host that dies are short, and not so short that it loses any while it lives on a busy machine
    with worker_on(service, first, DJANGO_EMAIL_RELAY__LEASE_SECONDS=20), worker_on(service, second) as survivor:
        service.clients("shop", "crm", count=200)
        wait_for_both(smtp, hosts, count=5)
        wait_until(lambda: in_hand(service, first), 60, f"mail in the hands of {first.name}", interval=0.005)
        first.kill()
        held = in_hand(service, first)
        smtp.script.delay = 0
        service.wait_until_sent(400, survivor)
        survivor.terminate()
    workers = {name.partition(":")[0] for (name,) in service.rows("DISTINCT worker")}
    assert workers == set(NAMES)
    arrived = Counter(message.content for message in smtp.received)
    assert len(arrived) == 400, "each arrived"
    assert sum(arrived.values()) - 400 <= held, "only what the dead host had in hand may come twice"


def test_p8_two_hosts_with_a_beat_each_share_the_mail_and_double_none(service, smtp, hosts):
    first, second = hosts
    with worker_on(service, first) as one, worker_on(service, second) as two:
        service.clients("shop", "crm", count=200)
        wait_for_both(smtp, hosts)
        smtp.script.delay = 0
        service.wait_until_sent(400, one)
        assert [process.terminate() for process in (one, two)] == [0, 0]
        assert "Sending due task drain" in one.output
        assert "Sending due task drain" in two.output
    assert_exactly_once(service, smtp)
