"""The folder of what a service with no configuration keeps: database, broker, beat's schedule, secret key."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def var_folder() -> Path:
    """``RELAY_VAR``, or ``./var``; made when it is missing."""
    folder = Path(os.environ.get("RELAY_VAR", "var")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def secret_key() -> str:
    """The key kept in the folder, made at the first call; only the owner may read it."""
    path = var_folder() / "secret_key"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip() or secrets.token_urlsafe(50)
    with os.fdopen(handle, "w") as file:
        key = secrets.token_urlsafe(50)
        file.write(key)
    return key
