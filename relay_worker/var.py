"""The folder of what a service with no configuration keeps: database, broker, beat's schedule, secret key."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def var_folder() -> Path:
    """``RELAY_VAR``, or ``./var``; made when it is missing, for the owner alone: mail may lie in it."""
    folder = Path(os.environ.get("RELAY_VAR", "var")).absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def secret_key() -> str:
    """The key kept in the folder, made at the first call; only the owner may read it."""
    path = var_folder() / "secret_key"
    if not path.exists():
        _keep(path, secrets.token_urlsafe(50))
    return path.read_text()


def _keep(path: Path, key: str) -> None:
    """Whole or not at all, and once: of processes that start together the first one's key stands for all."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")  # containers on one volume have the same process ids
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(key)
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
