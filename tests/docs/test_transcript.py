"""The session with `relayqueue` on the page of commands: every verb was run, and none failed but the alarm."""

from __future__ import annotations

import re

import pytest

import tests.docs.pages  # noqa: F401 - puts the generators on the path


@pytest.fixture(scope="module")
def transcript():
    import transcript_page

    return transcript_page.markdown()


def test_every_verb_is_shown(transcript):
    from commands_page import parser_of, subparsers

    assert set(re.findall(r"relayqueue (\w+)", transcript)) == set(subparsers(parser_of("relayqueue")))


def test_only_the_alarm_at_the_end_fails(transcript):
    assert transcript.count("CommandError") == 1
    assert transcript.rstrip().endswith("$ echo $?\n2\n```")
    assert "0 of" not in transcript, "each verb found what it is for"


def test_p13_no_body_in_it(transcript):
    assert "Dear Ann" not in transcript
