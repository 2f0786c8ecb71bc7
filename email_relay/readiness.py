"""Is the relay database ready? One sentence that says which command to type, or ""."""

from __future__ import annotations

from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from email_relay.db import APP_LABEL, relay_alias


def missing_migrations() -> str:
    """Which migrations of the relay are not applied, and how to apply them. Raises the database's errors."""
    alias = relay_alias()
    executor = MigrationExecutor(connections[alias])
    targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == APP_LABEL]
    missing = [migration.name for migration, _ in executor.migration_plan(targets) if migration.app_label == APP_LABEL]
    if not missing:
        return ""
    option = "" if alias == "default" else f" --database {alias}"
    return (
        f"The relay database {alias!r} lacks the migrations {', '.join(missing)}. "
        f"Type: python manage.py migrate{option} (or: email-relay migrate)"
    )
