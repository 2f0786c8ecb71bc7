"""The service's site: probes for anyone, the rest behind the login; metrics that Prometheus can read."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.processes import environment

ASK = """
import django; django.setup()
from django.test import Client
from email_relay.models import Message
Message.objects.create(data={"subject": "a secret subject"}, source="shop", priority=3)
client = Client()
for path in ("/healthz", "/readyz", "/metrics", "/", "/admin/"):
    answer = client.get(path)
    print(path, answer.status_code, answer.content.decode()[:4000])
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("site")
    env = environment({"RELAY_VAR": folder / "var", "DJANGO_SETTINGS_MODULE": "relay_worker.settings"})
    subprocess.run([sys.executable, "-m", "relay_worker.cli", "migrate", "-v0"], env=env, check=True, timeout=120)
    done = subprocess.run([sys.executable, "-c", ASK], env=env, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def test_the_probes_answer(answers):
    assert "/healthz 200 ok" in answers
    assert '/readyz 200 {"database": "ok", "migrations": "ok", "broker": "ok"}' in answers


def test_metrics_count_what_waits(answers):
    assert 'email_relay_queue_messages{priority="high",source="shop",status="queued"} 1.0' in answers
    assert "email_relay_oldest_due_age_seconds" in answers


def test_p13_no_content_in_metrics(answers):
    assert "secret subject" not in answers


def test_strangers_are_sent_to_the_login(answers):
    assert "/ 302" in answers
    assert "/admin/ 302" in answers
