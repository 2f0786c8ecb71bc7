"""The alert rules: promtool reads them, and they speak when they should. That their metrics exist: tests/e2e/test_metrics.py."""

from __future__ import annotations

import re

from tests.support.processes import ROOT
from tests.support.promtool import promtool

RULES = ROOT / "docker" / "alerts.yml"
TESTS = ROOT / "tests" / "docker" / "alerts_test.yml"


def test_promtool_reads_the_rules():
    promtool("check", "rules", RULES)


def test_the_rules_speak_when_they_should_and_are_silent_on_a_good_day():
    promtool("test", "rules", TESTS)


def test_every_rule_is_seen_speaking():
    rules = set(re.findall(r"alert: (\w+)", RULES.read_text()))
    seen = set(re.findall(r"alertname: (\w+)\n +exp_alerts:", TESTS.read_text()))
    assert rules == seen
