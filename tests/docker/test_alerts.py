"""The alert rules name metrics that exist; promtool reads them where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess

from tests.support.processes import ROOT

RULES = ROOT / "docker" / "alerts.yml"


def test_every_metric_of_the_rules_is_exported():
    source = (ROOT / "relay_worker" / "metrics.py").read_text()
    exported = {f"email_relay_{name}" for name in re.findall(r'_gauge\(\s*"(\w+)"', source)}
    named = set(re.findall(r"\bemail_relay_\w+", RULES.read_text()))
    assert named
    assert named <= exported


def test_promtool_reads_the_rules():
    promtool = shutil.which("promtool")
    if promtool is None:
        print("promtool is not installed: the rules were not parsed")
        return
    subprocess.run([promtool, "check", "rules", RULES], check=True, timeout=60)
