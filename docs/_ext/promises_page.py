"""Which tests prove which promise: every test whose name begins with the promise's, found in the sources."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"^\s*(?:async )?def (?P<test>test_p(?P<number>\d+)_\w+)", re.MULTILINE)
PROMISES = range(1, 14)


def proofs(root: Path = ROOT) -> dict[int, list[tuple[str, str]]]:
    """Promise number to (file, test), in the order of the files."""
    found: dict[int, list[tuple[str, str]]] = {number: [] for number in PROMISES}
    for path in sorted((root / "tests").rglob("test_*.py")):
        for match in NAMED.finditer(path.read_text(encoding="utf-8")):
            found[int(match["number"])].append((path.relative_to(root).as_posix(), match["test"]))
    return found


def markdown() -> str:
    return "\n".join(line for number, tests in proofs().items() for line in _promise(number, tests))


def _promise(number: int, tests: list[tuple[str, str]]) -> list[str]:
    if not tests:
        return []
    lines = [f"P{number}"]
    for path, test in tests:
        lines.append(f": `{path}`: {_sentence(test, number)}")
    return [*lines, ""]


def _sentence(test: str, number: int) -> str:
    return test.removeprefix(f"test_p{number}_").replace("_", " ")
