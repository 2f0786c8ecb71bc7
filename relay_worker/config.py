"""The environment laid over the service's settings: any Django setting by its name, ``__`` between nested keys.

``NAME_FILE`` reads the value from a file, for secrets. A value takes the type of the setting it replaces; where nobody knows a
type, passwords and names stay texts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.conf import global_settings

from email_relay.conf import EMAIL_RELAY_SETTINGS_NAME, RelaySettings
from email_relay.exceptions import ConfigurationError
from relay_worker.values import convert

FILE = "_FILE"
OWN = {"DATABASE_URL", "CELERY_BROKER_URL", "LOG_LEVEL", "LOG_FORMAT", "RELAY_VAR"}
KNOWN_KINDS = {
    "EMAIL_TIMEOUT": "?float",
    "EMAIL_SSL_CERTFILE": "?str",
    "EMAIL_SSL_KEYFILE": "?str",
    "CONN_MAX_AGE": "?int",
    "CONN_HEALTH_CHECKS": "bool",
    "ATOMIC_REQUESTS": "bool",
    "RELAY_HEALTHCHECK_TIMEOUT": "timeout",
    "MESSAGE_LIFETIME": "float",
    "METRICS_PORT": "?int",
}
TEXT_WORDS = ("PASSWORD", "USER", "NAME", "HOST", "PORT", "SECRET", "KEY", "ENGINE")


def overlay(base: dict[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Change ``base`` in place; returns where each changed setting came from. Raises `ConfigurationError`."""
    origins: dict[str, str] = {}
    for variable, path, text in _given(base, environ):
        _set(base, path, convert(variable, text, _kind(base, path)))
        origins["__".join(path)] = variable
    return origins


def _given(base: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[tuple[str, list[str], str]]:
    for variable in sorted(environ):
        name, text = variable, environ[variable]
        if variable.endswith(FILE) and _is_setting(base, variable.removesuffix(FILE)):
            name, text = variable.removesuffix(FILE), read_file(variable, text)
            if name in environ:
                raise ConfigurationError(f"Both {name} and {variable} are set in the environment: keep one of them.")
        if _is_setting(base, name) and name not in OWN:
            yield variable, name.split("__"), text


def read_file(variable: str, path: str) -> str:
    """The secret in a file, without the newline at its end."""
    try:
        return Path(path).read_text().rstrip("\r\n")
    except OSError as error:
        raise ConfigurationError(
            f"The environment variable {variable} names a file that cannot be read ({type(error).__name__})."
        ) from error


def value(environ: Mapping[str, str], name: str) -> str | None:
    """One variable, or the content of the file that ``NAME_FILE`` names."""
    if name in environ:
        return environ[name]
    return read_file(name + FILE, environ[name + FILE]) if name + FILE in environ else None


def _is_setting(base: Mapping[str, Any], name: str) -> bool:
    first = name.split("__", maxsplit=1)[0]
    if not first.isupper():
        return False
    if first == EMAIL_RELAY_SETTINGS_NAME:
        return "__" in name
    return first in base or hasattr(global_settings, first) or first.startswith("CELERY_")


def _kind(base: Mapping[str, Any], path: list[str]) -> str:
    if path[0] == EMAIL_RELAY_SETTINGS_NAME:
        return _relay_kind(path)
    if path[-1] in KNOWN_KINDS:
        return KNOWN_KINDS[path[-1]]
    replaced = _replaced(base, path)
    for kind, types in (
        ("bool", bool),
        ("int", int),
        ("float", float),
        ("str", str),
        ("list", (list, tuple)),
        ("dict", dict),
    ):
        if isinstance(replaced, types):
            return kind
    return "str" if any(word in path[-1].upper() for word in TEXT_WORDS) else "literal"


def _replaced(base: Mapping[str, Any], path: list[str]) -> Any:
    found: Any = base.get(path[0], getattr(global_settings, path[0], None))
    for key in path[1:]:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _relay_kind(path: list[str]) -> str:
    known = {field.name for field in dataclasses.fields(RelaySettings)}
    if len(path) > 1 and path[1] not in known:
        raise ConfigurationError(f"The environment variable {'__'.join(path)} is no setting of the relay.")
    if path[1] in KNOWN_KINDS:
        return KNOWN_KINDS[path[1]]
    annotation = str(RelaySettings.__annotations__[path[1]])
    optional = "?" if "None" in annotation or "Optional" in annotation else ""
    for word, kind in (("Dict", "dict"), ("List", "list"), ("bool", "bool"), ("float", "float"), ("int", "int")):
        if word in annotation:
            return optional + kind
    return optional + "str"


def _set(base: dict[str, Any], path: list[str], new: Any) -> None:
    target = base
    if len(path) > 1 and path[0] not in base:
        base[path[0]] = {}
    for key in path[:-1]:
        target = target.setdefault(key, {})
    target[path[-1]] = new
