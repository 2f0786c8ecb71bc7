"""The help for client projects' own tests."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail as django_mail
from django.core.mail import send_mail
from django.test import override_settings

from email_relay import testing
from email_relay.models import Message, Status

pytestmark = pytest.mark.django_db
LOCMEM = "django.core.mail.backends.locmem.EmailBackend"


def test_the_outbox_works_as_ever_and_queueing_is_asked_for() -> None:
    with override_settings(EMAIL_BACKEND=LOCMEM):
        django_mail.outbox = []
        send_mail("outbox", "b", None, ["a@example.org"])
        assert [email.subject for email in django_mail.outbox] == ["outbox"]
        testing.assert_nothing_queued()
        with testing.queueing() as queued:
            send_mail("queue", "b", None, ["a@example.org"])
            assert [message.subject for message in queued()] == ["queue"]
        assert len(django_mail.outbox) == 1


def test_assertions() -> None:
    testing.queued_message("one", to=["a@example.org"])
    testing.queued_message("two", to=["b@example.org"])
    testing.assert_queued(count=2)
    testing.assert_queued(to="a@example.org", subject="one", status=Status.QUEUED)
    testing.assert_nothing_queued(to="c@example.org")
    for wrong in ({"count": 1}, {"to": "c@example.org"}, {"subject": "three"}):
        with pytest.raises(AssertionError, match="'one' to"):
            testing.assert_queued(**wrong)


@pytest.mark.parametrize("state", ["queued", "deferred", "sent", "failed"])
def test_factories_reach_the_state_they_are_named_after(state: str) -> None:
    message: Any = getattr(testing, f"{state}_message")(subject="s")
    assert message.status == Status[state.upper()]
    assert Message.objects.get().email.subject == "s"
