"""Each system check, on and off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from email_relay.compat import HAS_MAILERS

SMTP = "django.core.mail.backends.smtp.EmailBackend"
QUEUE = "email_relay.backend.RelayDatabaseEmailBackend"
ROUTER = "email_relay.db.EmailDatabaseRouter"
DEPLOY = ("W010", "W011", "W012", "W013", "W014")


def ids(*, deploy: bool = False, **settings: Any) -> list[str]:
    with override_settings(**settings):
        found = run_checks(tags=["email_relay"], include_deployment_checks=deploy)
    for message in found:
        number = message.id.partition(".")[2]
        assert message.hint.endswith(f"/reference/checks.html#{number.lower()}")
    return [message.id.partition(".")[2] for message in found]


def relay(**keys: Any) -> dict[str, Any]:
    return {"DJANGO_EMAIL_RELAY": keys}


def policy(**limits: Any) -> dict[str, Any]:
    return relay(SOURCE_POLICIES={"shop": limits})


CASES = [
    ("E001", relay(EMAIL_THROTLE=1), relay(EMAIL_THROTTLE=1)),
    ("E001", relay(DEFAULT_PRIORITY="high"), relay(DEFAULT_PRIORITY=3)),
    ("E001", policy(sender=["@a.example"]), policy(senders=["@a.example"])),
    ("E001", policy(senders="@a.example"), policy(senders=["@a.example"])),
    ("E001", policy(max_recipients="50"), policy(max_recipients=50)),
    ("E001", policy(messages_per_minute=0), policy(messages_per_minute=1)),
    ("E001", policy(on_violation="drop"), policy(on_violation="hold")),
    ("E001", relay(SOURCE_POLICIES={"shop": 5}), relay(SOURCE_POLICIES={"shop": {}})),
    ("E002", {"DATABASE_ROUTERS": [ROUTER]}, {"DATABASE_ROUTERS": [ROUTER], **relay(DATABASE_ALIAS="default")}),
    ("E003", relay(ENQUEUE_ON_COMMIT="other"), relay(ENQUEUE_ON_COMMIT=True)),
    ("E004", relay(RELAY_EMAIL_BACKEND=QUEUE), relay(RELAY_EMAIL_BACKEND=SMTP)),
    ("E005", relay(RELAY_EMAIL_BACKEND="no.such.Backend"), relay(RELAY_EMAIL_BACKEND=SMTP)),
    ("E006", relay(RELAY_MAILER="out"), relay()),
    ("E007", relay(RELAY_MAILER="out", RELAY_EMAIL_BACKEND=SMTP), relay(RELAY_EMAIL_BACKEND=SMTP)),
    ("W002", {"USE_TZ": False}, {"USE_TZ": True}),
    ("W011", relay(OVERRIDE_RECIPIENTS=["qa@example.com"]), relay()),
    ("W011", relay(ALLOWED_RECIPIENT_DOMAINS=["example.com"]), relay()),
    ("W012", {"DEBUG": True}, {"DEBUG": False}),
    ("W013", relay(SMTP_TLS_VERIFY=False), relay()),
    ("W013", relay(SMTP_TLS_OPPORTUNISTIC=True), relay()),
    ("W014", relay(SMTP_ALLOW_PLAINTEXT_LOGIN=True), relay()),
]


@pytest.mark.parametrize(("number", "wrong", "right"), CASES)
def test_p12_each_misconfiguration_is_reported_and_only_it(number: str, wrong: dict, right: dict) -> None:
    assert number in ids(deploy=number in DEPLOY, **wrong)
    assert number not in ids(deploy=number in DEPLOY, **right)
    if number in DEPLOY:
        assert number not in ids(**wrong)


def test_a_project_that_sets_nothing_is_fine() -> None:
    assert ids() == []


def test_p12_an_alias_without_its_router_is_reported(tmp_path: Path) -> None:
    from tests.support.aliases import alias_for

    with alias_for(str(tmp_path / "relay.sqlite3"), alias="email_relay_db"):
        assert ids() == ["W001"]
        assert ids(DATABASE_ROUTERS=[ROUTER]) == []
        assert "W010" in ids(deploy=True, DATABASE_ROUTERS=[ROUTER])


@pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS is new in Django 6.1")
def test_p12_mailers_are_looked_at() -> None:
    def mailers(**out: Any) -> dict[str, Any]:
        return {"MAILERS": {"default": {"BACKEND": QUEUE, **out}, "out": {"BACKEND": SMTP, "OPTIONS": {"host": "h"}}}}

    assert ids(**mailers(), **relay(RELAY_MAILER="out")) == []
    assert ids(**mailers(), **relay(RELAY_MAILER="default")) == ["E004"]
    assert ids(**mailers(), **relay(RELAY_MAILER="nowhere")) == ["E006"]
    assert ids(**mailers(OPTIONS={"priority": "high"})) == []
    assert ids(**mailers(OPTIONS={"priority": "urgent"})) == ["E008"]
    assert ids(**mailers(OPTIONS={"priorty": 1})) == ["E008"]
