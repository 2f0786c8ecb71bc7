"""The reference of ``DJANGO_EMAIL_RELAY``, from the metadata of `RelaySettings`."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

from email_relay.conf import RelaySettings

SIDES = {"client": "client projects", "relay": "the relay", "both": "client projects and the relay"}


def markdown() -> str:
    return "\n".join([*_overview(), *(line for field in dataclasses.fields(RelaySettings) for line in _entry(field))])


def default_of(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default is not dataclasses.MISSING else field.default_factory()  # type: ignore[misc]


def shown(value: Any) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} seconds"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 10_000:
        return f"`{value:_}`"
    return f"`{value!r}`"


def anchor(name: str) -> str:
    return name.lower()


def _overview() -> list[str]:
    rows = [
        f"| [`{field.name}`](#{anchor(field.name)}) | {field.metadata['side']} | {shown(default_of(field))} |"
        for field in dataclasses.fields(RelaySettings)
    ]
    return ["| key | read by | default |", "|---|---|---|", *rows, ""]


def _entry(field: dataclasses.Field[Any]) -> list[str]:
    metadata = field.metadata
    unit = f" · unit: {metadata['unit']}" if metadata["unit"] else ""
    return [
        f"### `{field.name}`",
        "",
        metadata["meaning"],
        "",
        f"Read by {SIDES[metadata['side']]} · default: {shown(default_of(field))}{unit}",
        "",
    ]
