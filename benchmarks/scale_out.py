"""``python -m benchmarks.scale_out``: one worker on each of 1, 2, 4 hosts, against a slow SMTP server; needs root.

The hosts are network namespaces (see tests/support/network.py), so their workers differ in name and address, and meet in the
database, the broker and the SMTP server alone. The server answers each command late, and sleeps meanwhile: what grows is
what more hosts have under way at a time, not the machine's cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks import contestants, servers
from benchmarks.record import Figures, keep
from benchmarks.report import details
from benchmarks.servers import POSTGRES, execute
from tests.support.brokers import redis_broker
from tests.support.network import Host, Network
from tests.support.processes import ROOT, Process, environment
from tests.support.smtpserver import Script, SmtpServer
from tests.support.waiting import wait_until

CLIENT = contestants.runrelay("scale out")
WORKER = ("-m", "celery", "-A", "relay_worker", "worker", "-B", "-c", "1", "-l", "WARNING")


class Site:
    """Database, broker, SMTP server and hosts of one round."""

    def __init__(self, stack: ExitStack, folder: Path, hosts: int, late: float, sessions: int) -> None:
        self.stack, self.folder = stack, folder
        self.network = stack.enter_context(Network())
        self.smtp = stack.enter_context(SmtpServer(Script(delay=late), host=self.network.address, keep=False))
        broker = stack.enter_context(redis_broker(folder))
        broker_port = self.network.forward(int(broker.url.rpartition(":")[2].partition("/")[0]))
        database_port = self.network.forward(int(POSTGRES["port"]))
        address = self.network.address
        self.env = {
            "DATABASE_URL": f"postgres://{POSTGRES['user']}@{address}:{database_port}/{CLIENT.database}",
            "CELERY_BROKER_URL": f"redis://{address}:{broker_port}/0",
            "EMAIL_HOST": address,
            "EMAIL_PORT": self.smtp.port,
            "DJANGO_EMAIL_RELAY__SMTP_MAX_SESSIONS": sessions,
            "C_FORCE_ROOT": 1,
        }
        self.hosts = [self.network.host(f"relay-{number + 1}") for number in range(hosts)]

    def start(self, host: Host) -> Process:
        command = host.command(sys.executable, *WORKER)
        env = {**self.env, "RELAY_VAR": self.folder / host.name}
        return self.stack.enter_context(Process(command, log=self.folder / f"{host.name}.log", env=env, cwd=ROOT))

    def idle(self) -> int:
        """Hosts that have looked at the empty queue, and say so."""
        names = "SELECT DISTINCT split_part(name, ':', 1) FROM email_relay_worker WHERE NOT busy"
        return len(execute(CLIENT.database, names))


def one_round(hosts: int, options: argparse.Namespace) -> float:
    """Messages a second, from the first the server has to the last."""
    with tempfile.TemporaryDirectory(prefix="email-relay-bench-") as name, ExitStack() as stack:
        CLIENT.set_up()
        stack.callback(CLIENT.tear_down)
        migrated = environment({"DATABASE_URL": url(), "RELAY_VAR": name})
        subprocess.run([sys.executable, "-m", "relay_worker.cli", "migrate", "-v0"], env=migrated, check=True)
        site = Site(stack, Path(name), hosts, options.late, options.sessions)
        workers = [site.start(host) for host in site.hosts]
        wait_until(lambda: site.idle() == hosts, 120, workers[0].tail)
        CLIENT.send(options.messages)
        wait_until(lambda: site.smtp.count, 60, "the first message")
        began, first = time.monotonic(), site.smtp.count
        wait_until(lambda: site.smtp.count >= options.messages, options.timeout, lambda: f"all: {site.smtp.count}")
        return (options.messages - first) / (time.monotonic() - began)


def url() -> str:
    return f"postgres://{POSTGRES['user']}@{POSTGRES['host']}:{POSTGRES['port']}/{CLIENT.database}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_out", description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--messages", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--late", type=float, default=0.05, help="seconds before each reply")
    parser.add_argument("--sessions", type=int, default=8, help="SMTP_MAX_SESSIONS of each process")
    parser.add_argument("--timeout", type=float, default=300)
    return parser.parse_args()


def main() -> None:
    options = parse()
    figures: Figures = {}
    for number in range(options.rounds):
        for hosts in options.hosts:
            rate = one_round(hosts, options)
            figures.setdefault(f"{hosts} host{'s' * (hosts > 1)}", []).append({"rate": rate})
            print(f"round {number + 1}, {hosts} hosts: {rate:.0f}/s", flush=True)
    record = {
        "command": " ".join(["python -m benchmarks.scale_out", *sys.argv[1:]]),
        "messages": options.messages,
        "late": options.late,
        "sessions": options.sessions,
        "database": servers.durability(),
        "figures": figures,
    }
    keep("scale-out", record)
    print(details(record))


if __name__ == "__main__":
    main()
