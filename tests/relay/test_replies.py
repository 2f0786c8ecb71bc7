"""Any bytes in, printable words out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_relay.relay.replies import MalformedReply, parse, queue_id, smtp_class
from email_relay.relay.transport.base import NO_REPLY, Reply


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"250 2.1.0 Ok\r\n", Reply(250, "Ok", "2.1.0")),
        (b"250\r\n", Reply(250)),
        (b"250 ok\n", Reply(250, "ok")),
        (b"550-5.1.1 no\r\n550 5.1.1 such user\r\n", Reply(550, "no such user", "5.1.1")),
        (b"550 4.2.1 the basic code decides\r\n", Reply(550, "the basic code decides", "4.2.1")),
        (b"452 5000.1 is no status\r\n", Reply(452, "5000.1 is no status")),
        (b"550 a\x00b\x1b[31m\xff\r\n", Reply(550, "a b [31m\ufffd")),
    ],
)
def test_parse(raw, expected):
    assert parse(raw) == expected


@given(st.binary(max_size=300))
def test_p13_text_is_short_and_printable_whatever_came(noise):
    reply = parse(b"550 " + noise)
    assert reply.text.isprintable()
    assert len(reply.text) <= 500


def test_long_lines_are_cut():
    assert len(parse(b"550 " + b"x" * 5000 + b"\r\n").text) == 500


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"25", b"abc def", b"150 no", b"650 no", b"2x0 no"])
def test_what_is_no_reply(raw):
    with pytest.raises(MalformedReply):
        parse(raw)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ok: queued as 4XyZ1a2b3c", "4XyZ1a2b3c"),
        ("OK id=1rAbCd-0001Xy-2Z", "1rAbCd-0001Xy-2Z"),
        ("3AB1xYz012345 Message accepted for delivery", "3AB1xYz012345"),
        ("<a@b> [InternalId=123456, Hostname=mx] Queued mail for delivery", "123456"),
        ("ok 1700000000 qp 12345", "1700000000 qp 12345"),
        ("Ok 0102018f1234abcd-5678", "0102018f1234abcd-5678"),
        ("Ok", ""),
        ("thanks", ""),
    ],
)
def test_queue_id(text, expected):
    assert queue_id(Reply(250, text)) == expected


def test_a_refusal_has_no_queue_id():
    assert queue_id(Reply(550, "queued as X")) == ""


def test_smtp_class():
    assert [smtp_class(Reply(code)) for code in (250, 451, 554, NO_REPLY)] == ["2xx", "4xx", "5xx", "none"]
