"""Rows that no client of this package writes, and that the columns' types allow: each fails alone (P5)."""

from __future__ import annotations

from collections import Counter

import pytest

from email_relay.models import Message, Status
from email_relay.relay.transport.memory import MemoryTransport
from tests.relay.rows import queued

pytestmark = pytest.mark.django_db

STRANGE = [5, "text", [1], ["text"], {"a@example.com": 5}, [[["deep"]]], True]


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("column", ["recipients", "pending", "refused", "data"])
def test_p5_a_column_of_another_shape_does_not_stop_the_drain(run, column, strange):
    queued(**{column: strange})
    neighbour = queued()
    run()
    assert Message.objects.get(pk=neighbour.pk).status == Status.SENT
    assert Counter(Message.objects.values_list("status", flat=True))[Status.SENDING] == 0


def test_a_recipient_named_as_owed_alone_is_held_to_the_policy_too(run):
    """Who may write any column could else name him where the policy does not look."""
    queued("shop", recipients=["a@example.com"], pending=["out@elsewhere.example"])
    transport = MemoryTransport()
    run(transport, SOURCE_POLICIES={"shop": {"recipient_domains": ["example.com"]}})
    assert transport.delivered == []
    assert "domain is not allowed" in Message.objects.get().log
