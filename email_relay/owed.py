"""Who is owed a message once it is requeued, as an expression of the database."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Func, JSONField

POSTGRESQL = (
    "(SELECT JSONB_AGG(owed.address) FROM (SELECT JSONB_ARRAY_ELEMENTS_TEXT(CASE JSONB_TYPEOF(%(pending)s) "
    "WHEN 'array' THEN %(pending)s ELSE '[]'::jsonb END) AS address UNION SELECT JSONB_OBJECT_KEYS(%(refused)s)) AS owed)"
)
MYSQL = "JSON_MERGE_PRESERVE(COALESCE(%(pending)s, JSON_ARRAY()), JSON_KEYS(%(refused)s))"
SQLITE = (
    "(SELECT JSON_GROUP_ARRAY(address) FROM (SELECT value AS address FROM JSON_EACH(COALESCE(%(pending)s, '[]')) "
    "UNION SELECT key FROM JSON_EACH(%(refused)s)))"
)


class OwedAgain(Func):
    """Those still owed and those refused for good: everybody but who accepted. For rows whose ``refused`` is not null."""

    output_field = JSONField()

    def __init__(self) -> None:
        super().__init__(F("pending"), F("refused"))

    def _owed(self, template: str, compiler: Any) -> Any:
        pending, refused = (compiler.compile(expression)[0] for expression in self.get_source_expressions())
        return template % {"pending": pending, "refused": refused}, []

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:
        return self._owed(POSTGRESQL, compiler)

    def as_mysql(self, compiler: Any, connection: Any, **_: Any) -> Any:
        return self._owed(MYSQL, compiler)

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> Any:
        return self._owed(SQLITE, compiler)
