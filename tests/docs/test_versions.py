"""The table of tested versions is that of the matrix, and green."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_documented_matrix_is_the_one_that_is_run_and_passed_whole() -> None:
    documented = json.loads((ROOT / "docs" / "matrix.json").read_text())
    pairs = runpy.run_path(str(ROOT / "noxfile.py"))["PAIRS"]
    assert {(cell["python"], cell["django"], cell["driver"]) for cell in documented} == set(pairs)
    assert {cell["failed"] for cell in documented} == {0}
    assert all(cell["tests"] > cell["skipped"] for cell in documented)
