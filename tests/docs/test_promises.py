"""Every promise is written down and has a test that carries its name."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import DOCS

PROMISES = range(1, 14)


def test_the_page_lists_each_promise_once():
    text = (DOCS / "explanation" / "promises.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| P(\d+) \| \*\*", text, re.MULTILINE) == [str(number) for number in PROMISES]


@pytest.mark.parametrize("number", PROMISES)
def test_each_promise_has_a_test_of_its_name(number):
    from promises_page import proofs

    assert proofs()[number]
