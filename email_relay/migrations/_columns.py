"""Columns with a default in the database itself, which clients of 0.x rely on from the very statement that adds them.

Django's own AddField drops the default again, and a client that waited for its lock would fail at the new column. SQLite
is left to Django, which rebuilds its tables there and would lose raw defaults.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations


class AddColumn(migrations.AddField):
    """AddField whose SQL ``default`` stays: one expression, or one for each vendor."""

    def __init__(self, model_name: str, name: str, field: Any, *, default: str | dict[str, str]) -> None:
        super().__init__(model_name, name, field)
        self.default = default

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        connection = schema_editor.connection
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(connection.alias, model):
            return
        if connection.vendor not in ("postgresql", "mysql"):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        field = model._meta.get_field(self.name)  # noqa: SLF001 - Django's documented Model._meta API
        schema_editor.execute(self._sql(schema_editor, model._meta.db_table, field), params=None)  # noqa: SLF001

    def _sql(self, schema_editor: Any, table: str, field: Any) -> str:
        vendor, quote = schema_editor.connection.vendor, schema_editor.quote_name
        column = field.db_parameters(connection=schema_editor.connection)
        default = self.default if isinstance(self.default, str) else self.default[vendor]
        check = f" CHECK ({column['check']})" if column["check"] else ""
        return f"ALTER TABLE {quote(table)} ADD COLUMN {quote(field.column)} {column['type']} DEFAULT {default} NOT NULL{check}"
