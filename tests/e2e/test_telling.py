"""What a real worker tells of its work: log lines and the results of its tasks."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter

import pytest

from tests.conftest import needed
from tests.e2e.service import Service
from tests.support import databases, postgres
from tests.support.smtpserver import Script, SmtpServer
from tests.support.waiting import wait_until

RESULT = re.compile(r"Task email_relay\.(?:drain|dispatch)\[\S+\] succeeded in \S+: (\{.*?'server': '[^']*'\})")
PAIR = re.compile(r"(\w+)=(\S+)")
KEYS = {"id", "source", "message_id", "server", "code", "enhanced", "queue_id", "attempt", "seconds"}
WANTED = {("shop", "sent"): 10, ("shop", "deferred"): 1, ("shop", "failed"): 1}
REFUSALS = {
    "to4@example.com": "450 4.2.0 to4@example.com is full",
    "to5@example.com": "550 5.1.1 no to5@example.com here",
}
CODES = {"sent": 250, "deferred": 450, "failed": 550}


@pytest.fixture(scope="module", params=["text", "json"])
def told(tmp_path_factory, request):
    """The service and the output of its worker, once ten were sent, one was deferred and one refused."""
    folder = tmp_path_factory.mktemp("telling")
    postgresql = needed("PostgreSQL", databases.postgresql_database, postgres.NoServer)
    with postgresql as url, SmtpServer(script=Script(on_rcpt=REFUSALS.get)) as smtp:
        service = Service(folder, url, None, smtp, LOG_FORMAT=request.param)
        service.migrate()
        service.clients("shop", count=12)
        with service.worker() as worker:
            wait_until(lambda: outcomes(results(worker.output)) == WANTED, 60, lambda: f"the results:\n{worker.tail()}")
            worker.terminate()
            yield service, worker.output


def results(output: str) -> list[dict]:
    return [ast.literal_eval(found) for found in RESULT.findall(output)]


def outcomes(found: list[dict]) -> Counter:
    """How often each source had each outcome."""
    total: Counter = Counter()
    for result in found:
        for source, counts in result["sources"].items():
            total.update({(source, outcome): count for outcome, count in counts.items()})
    return total


def test_results_tell_counts_by_source_and_the_server(told):
    service, output = told
    found = results(output)
    assert {result["server"] for result in found} == {f"{service.smtp.host}:{service.smtp.port}"}
    for outcome in ("sent", "deferred", "failed"):
        assert sum(result[outcome] for result in found) == WANTED["shop", outcome]


def test_p13_no_address_and_no_subject_is_told(told):
    _, output = told
    for word in ("example.com", "plain 0", "html 1", "Grüße", "dots 3"):
        assert word not in output


def test_one_line_for_each_attempt(told):
    """It names the row, and the levels make sense."""
    service, output = told
    lines = from_json(output) if service.env["LOG_FORMAT"] == "json" else from_pairs(output)
    assert len(lines) == 12
    assert all(set(line) >= KEYS for line in lines)
    assert {(int(line["id"]), line["source"], line["message_id"]) for line in lines} == set(
        service.rows("id, source, message_id")
    )
    assert {line["queue_id"] for line in lines if line["outcome"] == "sent"} == {
        name for (name,) in service.rows("queue_id", "status = 4")
    }
    assert Counter(("shop", line["outcome"]) for line in lines) == WANTED
    assert {line["outcome"]: int(line["code"]) for line in lines} == CODES
    levels = {line["outcome"]: line["level"].lower() for line in lines}
    assert levels == {"sent": "info", "deferred": "warning", "failed": "error"}


def from_json(output: str) -> list[dict]:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    lines = [line for line in lines if line["logger"] == "email_relay.relay" and "outcome" in line]
    assert all(isinstance(line[key], int) for line in lines for key in ("id", "code", "attempt"))
    return lines


def from_pairs(output: str) -> list[dict]:
    lines = [line for line in output.splitlines() if re.search(r" email_relay\.relay (sent|deferred|failed) ", line)]
    return [{**dict(PAIR.findall(line)), "outcome": line.split()[4], "level": line.split()[2]} for line in lines]
