"""The reference of the tables, from the models."""

from __future__ import annotations

from django.apps import apps
from django.db import models


def markdown() -> str:
    return "\n".join(line for model in apps.get_app_config("email_relay").get_models() for line in _table(model))


def _table(model: type[models.Model]) -> list[str]:
    doc = " ".join((model.__doc__ or "").split())
    return [
        f"## `{model._meta.db_table}`",
        "",
        doc,
        "",
        "| column | type | null | default | meaning |",
        "|---|---|---|---|---|",
        *(_row(field) for field in model._meta.concrete_fields),
        "",
        *_constraints(model),
    ]


def _row(field: models.Field) -> str:  # type: ignore[type-arg]
    choices = ", ".join(f"{value} {label}" for value, label in field.choices or [])
    meaning = str(field.help_text) or choices
    null = "yes" if field.null else ""
    return f"| `{field.column}` | {_type(field)} | {null} | {_default(field)} | {meaning} |"


def _type(field: models.Field) -> str:  # type: ignore[type-arg]
    kind = field.get_internal_type().removesuffix("Field")
    return f"{kind}({field.max_length})" if field.max_length and kind == "Char" else kind


def _default(field: models.Field) -> str:  # type: ignore[type-arg]
    if not field.has_default():
        return ""
    default = field.default
    return f"`{default.__name__}()`" if callable(default) else f"`{getattr(default, 'value', default)!r}`"


def _constraints(model: type[models.Model]) -> list[str]:
    names = [constraint.name for constraint in model._meta.constraints]
    indexes = [index.name for index in model._meta.indexes]
    lines = []
    if names:
        lines += [f"Constraints: {', '.join(f'`{name}`' for name in names)}.", ""]
    if indexes:
        lines += [f"Indexes: {', '.join(f'`{name}`' for name in indexes)}.", ""]
    return lines
