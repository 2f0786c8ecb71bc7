"""The sizing page has its figures from what was measured, and from nowhere else."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import DOCS


@pytest.fixture
def sizing_page(monkeypatch):
    import sizing_page

    monkeypatch.setattr(sizing_page.record, "kept", lambda: kept)
    kept = {}
    sizing_page.given = kept
    return sizing_page


def test_no_figure_is_typed_by_hand():
    text = (DOCS / "how-to" / "size.md").read_text(encoding="utf-8")
    assert not re.search(r"\d\s?(?:/s|ms|GiB|MiB|messages)", text)


def test_rates_are_those_of_this_package(sizing_page):
    rounds = {"worker": [{"rate": 700.0}, {"rate": 900.0}, {"rate": 800.0}], "post-office": [{"rate": 123.0}]}
    sizing_page.given["slow"] = {"figures": rounds}
    assert "| worker | 800 (700-900) | 3 |" in sizing_page.rates()
    assert "post-office" not in sizing_page.rates()


def test_bytes_of_one_message_become_gibibytes_of_a_million(sizing_page):
    each = dict.fromkeys((*sizing_page.VOLUMES.values(), *sizing_page.COUNTS.values(), "message_bytes"), 1073.741824)
    sizing_page.given["sizing"] = {"bytes": each, "messages": 20, "machine": "m", "database": "d"}
    assert "| WAL of sending | 1.00 GiB |" in sizing_page.database()


@pytest.mark.parametrize("name", ["rates", "hosts", "database"])
def test_what_was_not_measured_is_said(sizing_page, name):
    assert getattr(sizing_page, name)() == sizing_page.ABSENT
