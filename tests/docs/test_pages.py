"""The documentation says what is there: settings, links, snippets, and a strict build."""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
import sys

import pytest

from email_relay.conf import RelaySettings, problems
from tests.docs.pages import DOCS, ROOT, Block, blocks, pages

PYTHON = blocks("python")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)(?P<target>[^)#\s]*)(?:#[^)]*)?\)")


def _named(block: Block) -> str:
    return block.name


def test_a_strict_build_finds_nothing_to_warn_about(tmp_path):
    pytest.importorskip("furo")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "dummy", "-d", str(tmp_path / "trees")]
    done = subprocess.run([*command, str(DOCS), str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page):
    targets = [match["target"] for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    missing = [target for target in targets if target and not (page.parent / target).exists()]
    assert missing == []


def test_every_setting_has_an_entry_of_its_own():
    import generated

    page = generated.expand((DOCS / "reference" / "settings.md").read_text(encoding="utf-8"))
    for field in dataclasses.fields(RelaySettings):
        assert f"### `{field.name}`\n\n{field.metadata['meaning']}" in page


@pytest.mark.parametrize("block", PYTHON, ids=_named)
def test_python_snippets_compile(block):
    compile(block.body, block.name, "exec")


@pytest.mark.parametrize("block", [block for block in PYTHON if "DJANGO_EMAIL_RELAY = {" in block.body], ids=_named)
def test_settings_in_snippets_are_valid(block):
    values = [
        statement.value
        for statement in ast.parse(block.body).body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "DJANGO_EMAIL_RELAY"
    ]
    for value in values:
        assert problems(eval(compile(ast.Expression(value), block.name, "eval"))) == []


def test_keys_named_in_prose_exist():
    """Every key that stands quoted as ``DJANGO_EMAIL_RELAY__KEY`` or links into the settings page is one."""
    known = {field.name for field in dataclasses.fields(RelaySettings)}
    for page in pages():
        text = page.read_text(encoding="utf-8")
        named = set(re.findall(r"DJANGO_EMAIL_RELAY__([A-Z_]+?)(?:__|[^A-Z_])", text))
        named |= set(re.findall(r"\[`([A-Z_]+)`\]\([^)]*settings\.md#", text))
        assert named <= known, page


def test_the_changelog_begins_with_what_is_unreleased():
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"


def test_every_system_check_has_an_entry_at_the_place_its_hint_names():
    import checks_page

    source = checks_page.SOURCE.read_text(encoding="utf-8")
    numbers = set(re.findall(r'"([EW]\d{3})"', source))
    assert set(checks_page.entries()) == numbers
    for number in numbers:
        assert f"### {number}\n" in checks_page.markdown()
