"""The sizing page has its figures from what was measured, and from nowhere else."""

from __future__ import annotations

import json
import re

import pytest

from tests.docs.pages import DOCS


def test_no_figure_is_typed_by_hand():
    text = (DOCS / "how-to" / "size.md").read_text(encoding="utf-8")
    assert not re.search(r"\d\s?(?:/s|ms|GiB|MiB|messages)", text)


def test_tables_follow_the_kept_results(monkeypatch, tmp_path):
    import sizing_page

    rounds = [{"rate": 7.0, "cpu_ms": None}, {"rate": 9.0, "cpu_ms": 0.5}, {"rate": 8.0, "cpu_ms": 0.7}]
    (tmp_path / "slow-500.json").write_text(json.dumps({"figures": {"worker": rounds}}))
    monkeypatch.setattr(sizing_page, "RESULTS", tmp_path)
    assert "| answers 20 ms late | worker | 2 | 8 | 0.60 |" in sizing_page.rates()
    assert "| takes at once | runrelay | 1 | - | - |" in sizing_page.rates()


@pytest.mark.parametrize("name", ["hosts", "database"])
def test_what_was_not_measured_is_said(monkeypatch, tmp_path, name):
    import sizing_page

    monkeypatch.setattr(sizing_page, "RESULTS", tmp_path)
    assert getattr(sizing_page, name)() == sizing_page.ABSENT
