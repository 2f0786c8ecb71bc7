"""Database URLs: taken apart for Django, put together for other processes."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

ENGINES = {
    "postgresql": "django.db.backends.postgresql",
    "postgres": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
    "mariadb": "django.db.backends.mysql",
    "sqlite": "django.db.backends.sqlite3",
}


def parse_url(url: str) -> dict[str, Any]:
    """The entry of DATABASES that *url* describes."""
    parts = urlsplit(url)
    database: dict[str, Any] = {"ENGINE": ENGINES[parts.scheme.split("+")[0]], "NAME": unquote(parts.path[1:])}
    if parts.scheme == "sqlite":
        return database
    query = dict(parse_qsl(parts.query))
    database.update(
        USER=unquote(parts.username or ""),
        PASSWORD=unquote(parts.password or ""),
        HOST=query.pop("host", unquote(parts.hostname or "")),
        PORT=str(parts.port or ""),
    )
    if query:
        database["OPTIONS"] = query
    return database


def with_name(url: str, name: str) -> str:
    """*url* with another database."""
    parts = urlsplit(url)
    return parts._replace(path="/" + quote(name)).geturl()
