"""The reference of the system checks: ids, texts and hints as they stand in ``email_relay/checks.py``."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "email_relay" / "checks.py"
KNOWN = {"EMAIL_RELAY_SETTINGS_NAME": "DJANGO_EMAIL_RELAY", "ROUTER": "email_relay.db.EmailDatabaseRouter"}
LEVELS = {"error": "Error", "warning": "Warning"}
FINDING_ARGUMENTS = 3


@dataclass
class Entry:
    """One id; several texts where one check tells cases apart."""

    number: str
    level: str
    deploy: bool
    texts: list[tuple[str, str]] = field(default_factory=list)


def entries() -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for function in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef):
            deploy = any(isinstance(mark, ast.Name) and mark.id == "deploy_check" for mark in function.decorator_list)
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and _is_finding(call):
                    _add(found, call, deploy=deploy)
    return dict(sorted(found.items()))


def _is_finding(call: ast.Call) -> bool:
    named = isinstance(call.func, ast.Name) and call.func.id in LEVELS
    return named and len(call.args) == FINDING_ARGUMENTS and isinstance(call.args[0], ast.Constant)


def _add(found: dict[str, Entry], call: ast.Call, *, deploy: bool) -> None:
    number, text, hint = (_text(argument) for argument in call.args)
    entry = found.setdefault(number, Entry(number, LEVELS[call.func.id], deploy))  # type: ignore[attr-defined]
    entry.texts.append((text, hint))


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) for value in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value)
    if isinstance(node, ast.Constant):
        return str(node.value)
    return KNOWN.get(ast.unparse(node), "…")


def markdown() -> str:
    return "\n".join(line for entry in entries().values() for line in _entry(entry))


def _entry(entry: Entry) -> list[str]:
    when = ", with `--deploy`" if entry.deploy else ""
    lines = [f"### {entry.number}", "", f"*{entry.level}{when}.*", ""]
    for text, hint in entry.texts:
        shown = (
            "A key or value of `DJANGO_EMAIL_RELAY` cannot be used; the text says which and why."
            if text == "…"
            else text
        )
        lines += [f"{shown} — {hint}", ""]
    return lines
