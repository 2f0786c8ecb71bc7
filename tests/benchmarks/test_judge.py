"""A target met is told from one missed, and by how much."""

from __future__ import annotations

import pytest

from benchmarks import chart, judge, report


def _drain(**rates):
    figures = {name.replace("_", " "): [{"rate": rate}] for name, rate in rates.items()}
    return {"drain": {"row": "drain", "messages": 2000, "figures": figures}}


def test_a_rate_is_judged_beside_its_reference():
    [line] = judge.judge(_drain(worker=900, smtplib_loop=1000))
    assert (line.verdict, line.ratio) == ("met", pytest.approx(0.9))


def test_a_rate_that_is_too_low_says_how_much_is_missing():
    [line] = judge.judge(_drain(worker=400, smtplib_loop=1000))
    assert line.verdict == "missed by 50 %"


def test_the_best_of_the_peers_is_the_reference():
    records = _drain(worker=5000)
    records["drain"]["figures"].update({"post-office": [{"rate": 700}], "celery-email": [{"rate": 900}]})
    assert [line.reference_name for line in judge.judge(records)] == ["celery-email"]


def test_a_duration_over_its_limit_says_by_how_much():
    line = judge.at_most("row", "work", 100, ("worker", 150), "ms", ("peer", None))
    assert line.verdict == "missed by 50 %"


def test_times_as_fast_is_shown_as_speed():
    line = judge.faster("row", "work", 40, ("worker", 2), "s", ("old", 90))
    assert (line.ratio, line.verdict) == (45, "met")


def _plans(*, many):
    steps = {"500,000 sent": ["Index Scan"], "many": many, "empty": ["Seq Scan on email_relay_message"]}
    return {"buffers": {"many": 1, "empty": 100}, "steps": steps}


def test_the_same_plan_with_as_many_buffers_is_met():
    assert judge._same_plan(_plans(many=["Index Scan"]), "many", "empty").verdict == "met"


def test_another_plan_misses_whatever_it_costs():
    assert judge._same_plan(_plans(many=["Bitmap Heap Scan"]), "many", "empty").verdict == "missed altogether"


def test_what_was_not_measured_has_no_line():
    assert judge.judge(_drain(worker=5000)) == []


def test_the_table_and_the_chart_show_each_line():
    lines = judge.judge(_drain(worker=900, smtplib_loop=1000))
    assert "| drain 2,000 messages | worker 900/s | smtplib loop 1,000 | 0.9 × | ≥ 0.8 × | met |" in report.table(lines)
    assert "smtplib loop" in chart.targets(lines)
