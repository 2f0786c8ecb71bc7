"""P13: what a task fails with names no content, and so neither the log nor its result, its event or Sentry does."""

from __future__ import annotations

import traceback

import pytest
from django.db import OperationalError

from email_relay.exceptions import ConfigurationError
from email_relay.models import Message
from email_relay.relay.faults import unquoted
from relay_worker import tasks
from tests.support.constraints import refusing

SECRETS = ("topsecret-subject", "topsecret-body", "secret-recipient")


def told_by(outcome) -> str:
    return "".join(traceback.format_exception(outcome.result)) + outcome.traceback


@pytest.mark.django_db(transaction=True)
def test_p13_a_refused_row_is_in_no_log_and_no_result_of_a_task(caplog):
    Message.objects.create(
        data={"subject": SECRETS[0], "to": [SECRETS[2]]},
        mime=SECRETS[1].encode(),
        envelope_from="a@example.com",
        recipients=[f"{SECRETS[2]}@example.com"],
        size=30,
    )
    with refusing("status <> 5"):
        outcome = tasks.drain.apply()
    assert outcome.failed()
    told = told_by(outcome) + caplog.text
    assert not [secret for secret in SECRETS if secret in told]
    assert not [value for value in (r"\x746f70", "DETAIL") if value in told]
    assert "IntegrityError 23514 refusing" in str(outcome.result)
    assert "claim_postgresql.py" in outcome.traceback, "where it arose"


@pytest.mark.parametrize("name", ["drain", "dispatch", "purge", "heartbeat"])
def test_p13_no_task_fails_with_the_words_of_an_error(name, monkeypatch, caplog):
    def broken(*_, **__):
        raise ValueError(SECRETS[0])

    for place, attribute in ((tasks, "process_engine"), (tasks.retention, "purge"), (tasks._aside, "beat")):
        monkeypatch.setattr(place, attribute, broken)
    outcome = getattr(tasks, name).apply()
    assert str(outcome.result).startswith("ValueError at test_task_failures.py:")
    assert SECRETS[0] not in told_by(outcome) + caplog.text


def test_p12_a_misconfiguration_is_told_in_its_own_words():
    with pytest.raises(ConfigurationError, match="set this"), unquoted():
        raise ConfigurationError("set this")


def test_a_database_that_cannot_be_reached_is_told_in_the_drivers_words():
    with pytest.raises(Exception, match="connection refused at host db"), unquoted():
        raise OperationalError("connection refused at host db\nmore")
