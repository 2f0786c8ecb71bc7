"""Settings as they may be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

SECRET_WORDS = re.compile(r"PASS|SECRET|KEY|TOKEN|DSN", re.IGNORECASE)
URL_WITH_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):([^@\s]+)@")
HIDDEN = "********"


def shown(name: str, value: Any) -> Any:
    """``value`` without secrets: by the setting's name, and passwords inside URLs."""
    if isinstance(value, Mapping):
        return {key: shown(str(key), item) for key, item in value.items()}
    if isinstance(value, str):
        if SECRET_WORDS.search(name) and value:
            return HIDDEN
        return URL_WITH_PASSWORD.sub(rf"\1:{HIDDEN}@", value)
    return value


def hide_from_remote_control() -> None:
    """Keep the broker's password from Flower and ``celery inspect conf``.

    Celery masks the settings it knows by its own names; in a Django project the broker's is CELERY_BROKER_URL.
    """
    utils: Any = import_module("celery.app.utils")
    if "BROKER" not in utils.HIDDEN_SETTINGS.pattern:
        utils.HIDDEN_SETTINGS = re.compile(rf"{utils.HIDDEN_SETTINGS.pattern}|CELERY_BROKER_\w*URL", re.IGNORECASE)
