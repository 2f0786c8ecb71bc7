"""What ``docker compose config`` would make of our files: overrides laid over, variables put in, nothing run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Mapping

import yaml

VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?:(?P<kind>:[-?])(?P<word>[^}]*))?\}")
LISTS_THAT_ADD = {
    "ports",
    "expose",
    "dns",
    "tmpfs",
    "volumes",
    "secrets",
    "configs",
    "profiles",
    "cap_drop",
    "security_opt",
}


class Missing(Exception):
    """A variable without which the file is no use; the text is the file's own."""


class Replaced:
    """A value under ``!override``, or under ``!reset`` (None: the key goes away)."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Loader(yaml.SafeLoader):
    """With the two tags of the Compose specification (13-merge.md)."""


def _override(loader: Loader, node: yaml.Node) -> Replaced:
    construct = loader.construct_mapping if isinstance(node, yaml.MappingNode) else loader.construct_sequence
    return Replaced(construct(node, deep=True))


Loader.add_constructor("!reset", lambda *_: Replaced(None))
Loader.add_constructor("!override", _override)


def compose(*paths: Path, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The model the files make together."""
    merged: dict[str, Any] = {}
    for path in paths:
        text = interpolate(path.read_text(encoding="utf-8"), variables or {})
        merged = lay_over(merged, yaml.load(text, Loader))
    return {key: value for key, value in merged.items() if not key.startswith("x-")}


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    def put_in(match: re.Match[str]) -> str:
        value = variables.get(match["name"], "")
        if not value and match["kind"] == ":?":
            raise Missing(f"{match['name']}: {match['word']}")
        return value or (match["word"] if match["kind"] == ":-" else "")

    return VARIABLE.sub(put_in, text)


def lay_over(below: Any, above: Any, key: str = "") -> Any:
    if isinstance(above, Replaced):
        return above.value
    if isinstance(above, dict):
        below = below if isinstance(below, dict) else {}
        laid = {name: lay_over(below.get(name), value, name) for name, value in above.items()}
        kept = {**below, **laid}
        dropped = {name for name, value in above.items() if isinstance(value, Replaced) and value.value is None}
        return {name: value for name, value in kept.items() if name not in dropped}
    if isinstance(above, list) and isinstance(below, list) and key in LISTS_THAT_ADD:
        return [*below, *(item for item in above if item not in below)]
    return above
