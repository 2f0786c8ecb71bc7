"""Pure: a text from the environment becomes a value of the type it replaces."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from email_relay.exceptions import ConfigurationError

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}
NOTHING = {"", "none", "null"}

ENGINES = {
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
    "mariadb": "django.db.backends.mysql",
    "sqlite": "django.db.backends.sqlite3",
}


def convert(name: str, text: str, kind: str) -> Any:
    """``kind`` is one of bool, int, float, str, list, dict; "?" in front lets "none" and "" mean None.

    Raises `ConfigurationError` that names the variable, never its value.
    """
    if kind.startswith("?"):
        return None if text.strip().lower() in NOTHING else convert(name, text, kind[1:])
    try:
        return CONVERTERS[kind](text)
    except ValueError as error:
        raise ConfigurationError(f"The environment variable {name} must be {WORDS[kind]}.") from error


def _bool(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in TRUE | FALSE:
        raise ValueError(lowered)
    return lowered in TRUE


def _number(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() and "." not in text else value


def _list(text: str) -> list[Any]:
    if text.strip().startswith("["):
        return list(json.loads(text))
    return [item.strip() for item in text.split(",") if item.strip()]


def _dict(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - one error type for all converters
    return value


def _timeout(text: str) -> Any:
    parts = [None if part.strip().lower() in NOTHING else _number(part) for part in text.split(",")]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _literal(text: str) -> Any:
    """For settings nobody knows the type of: a JSON value if it is one, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return {"True": True, "False": False, "None": None}.get(text, text)


CONVERTERS: dict[str, Any] = {
    "bool": _bool,
    "int": lambda text: int(text.strip()),
    "float": _number,
    "str": str,
    "list": _list,
    "dict": _dict,
    "timeout": _timeout,
    "literal": _literal,
}
WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "list": "a list: a,b or JSON",
    "dict": "a JSON object",
    "timeout": "seconds, or connect,read",
    "literal": "a value",
}


def database(url: str, name: str = "DATABASE_URL") -> dict[str, Any]:
    """postgres://user:password@host:port/name?option=value, mysql://…, sqlite:///path. Raises `ConfigurationError`."""
    parts = urlsplit(url)
    engine = ENGINES.get(parts.scheme)
    if engine is None:
        raise ConfigurationError(
            f"The environment variable {name} must begin with one of {', '.join(f'{scheme}://' for scheme in ENGINES)}."
        )
    try:
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"The environment variable {name} has a port that is no number.") from error
    path = unquote(parts.path[1:])
    return {
        "ENGINE": engine,
        "NAME": path,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
    }
