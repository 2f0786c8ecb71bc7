"""The documentation's sources: pages, code blocks, shell commands."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[a-z{}-]*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)

sys.path.insert(0, str(DOCS / "_ext"))

INLINE = re.compile(r"(?<!`)`(?P<command>(?:email-relay|celery -A relay_worker|python manage\.py|make) [^`\n…]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block, dedented. ``name`` tells page and number."""

    page: Path
    number: int
    language: str
    body: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}#{self.number}"


def pages() -> list[Path]:
    top = [ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")]
    return [*top, *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)]


def blocks(language: str) -> list[Block]:
    found = []
    for page in pages():
        for number, match in enumerate(FENCE.finditer(page.read_text(encoding="utf-8")), 1):
            if match["language"] == language:
                lines = [line[len(match["indent"]) :] for line in match["body"].splitlines()]
                found.append(Block(page, number, language, "\n".join(lines) + "\n"))
    return found


def commands() -> list[tuple[str, str]]:
    """Page and command of every line that begins with ``$`` (a backslash at the end joins lines), and of those in prose."""
    found = [
        (str(page.relative_to(ROOT)), match["command"])
        for page in pages()
        for match in INLINE.finditer(page.read_text(encoding="utf-8"))
    ]
    for block in blocks("console"):
        joined = block.body.replace("\\\n", " ")
        found += [(block.name, line[2:].strip()) for line in joined.splitlines() if line.startswith("$ ")]
    return found
