"""The line of an attempt: what a client wrote into it cannot break it."""

from __future__ import annotations

import logging

import pytest

from tests.relay.rows import queued

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_source_or_message_id_begins_no_line_and_no_pair_of_its_own(run, caplog):
    caplog.set_level(logging.INFO, "email_relay.relay")
    queued(source="shop\nfailed id=1", message_id="<1@x>\u2028code=550 x")
    assert run().sent == 1
    [line] = [record.getMessage() for record in caplog.records if record.getMessage().startswith("sent ")]
    assert "source=shop?failed?id=1 message_id=<1@x>?code=550?x server=" in line
    assert len(line.splitlines()) == 1


def test_a_drain_tells_what_became_of_each_sources_mail(run):
    queued(source="shop")
    queued(source="shop")
    queued(source="crm")
    report = run()
    assert report.sources == {"shop": {"sent": 2}, "crm": {"sent": 1}}
    assert report.plus(report).sources == {"shop": {"sent": 4}, "crm": {"sent": 2}}
    assert report.sources == {"shop": {"sent": 2}, "crm": {"sent": 1}}
