"""What is told of the measurements is what was measured."""

from __future__ import annotations

from benchmarks import report


def test_the_readme_has_the_table_of_the_results_kept():
    [part] = report.MARKED.findall(report.README.read_text(encoding="utf-8"))
    assert part == report.readme_part(report.measured())
