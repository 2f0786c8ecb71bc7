from __future__ import annotations

import sys

import pytest

from demo.ledger import Entry, differences
from tests.support.processes import Process
from tests.support.smtpserver import Received

CONTENT = b"Subject: one\r\nMessage-ID: <1@example.com>\r\n\r\ntext\r\n"


def entry(**changes):
    values = {"message_id": "<1@example.com>", "content": CONTENT, "recipients": ["you@example.com"]}
    return Entry(
        subject="one", source="shop", queued_at=None, sent_at=None, status=4, reply="", **{**values, **changes}
    )


def received(**changes):
    values = {"content": CONTENT, "rcpt_to": ("you@example.com",)}
    rest = {"mail_from": "", "options": (), "queue_id": "", "session": 1, "peer": (), "at": 0.0}
    return Received(**rest, **{**values, **changes})


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 10), reason="the service needs Python 3.10")
def test_the_demo_delivers_and_leaves_nothing_running(tmp_path):
    with Process.python("-m", "demo", log=tmp_path / "log", env={"COLUMNS": 150}) as demo:
        assert demo.wait(240) == 0, demo.tail()
        assert not demo.group_running
    assert "its bytes at the server are the bytes that were queued" in demo.output


def test_sees_no_difference_where_there_is_none():
    assert differences([entry()], [received()]) == []


@pytest.mark.parametrize(
    ("arrived", "complaint"),
    [
        ([], "arrived 0 times"),
        ([received(), received()], "arrived 2 times"),
        ([received(content=CONTENT + b"more")], "other bytes"),
        ([received(rcpt_to=("someone@example.com",))], "other recipients"),
    ],
)
def test_sees_what_arrived_otherwise(arrived, complaint):
    [found] = differences([entry()], arrived)
    assert complaint in found


def test_sees_what_was_never_queued():
    assert differences([], [received()]) == ["<1@example.com>: never queued"]
