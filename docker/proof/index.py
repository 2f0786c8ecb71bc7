"""The package index of this machine, for pip in the chroot: its configuration as variables, and the files that names."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

SECTIONS = ("global", "install", ":env:")
PROXIES = ("http_proxy", "https_proxy", "no_proxy")


def variables() -> dict[str, str]:
    """PIP_…, and a proxy if there is one. Folders of this machine are not in the chroot, and left out."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True)
    found = {name: os.environ[name] for proxy in PROXIES for name in (proxy, proxy.upper()) if name in os.environ}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        text = " ".join(word for word in str(ast.literal_eval(value)).split() if not is_folder(word))
        if section in SECTIONS and text:
            found[f"PIP_{option.upper().replace('-', '_')}"] = text
    return found


def is_folder(word: str) -> bool:
    return word.startswith("file:") or (word.startswith("/") and not Path(word).is_file())


def bring_files(env: dict[str, str], root: Path) -> None:
    """Certificates and constraints, to the same place."""
    for name, value in env.items():
        if name.startswith("PIP_") and value.startswith("/"):
            target = root / value.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(value, target)
