"""Pure: settings as they may be shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
