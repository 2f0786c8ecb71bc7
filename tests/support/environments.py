"""Virtual environments of other Pythons and Djangos, and of old releases; built once, kept outside of the repository.

They lie in ``$XDG_CACHE_HOME/email-relay-tests`` (``~/.cache``), one directory for each interpreter and list of
requirements. Where the interpreter is missing the test is skipped, in CI too: no test can bring one. Where pip fails,
it is skipped loudly, and fails in CI.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Sequence

import pytest

from tests.support.needs import missing

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "email-relay-tests"
INSTALL_SECONDS = 600
COMPLETE = "complete"
PSYCOPG2 = "psycopg2-binary>=2.9,<3"
PYMYSQL = "PyMySQL>=1.1,<2"


def interpreter(version: str) -> str:
    """The Python of that version ("3.8"), from PATH or pyenv; skips the test where there is none."""
    if version == current():
        return sys.executable
    found = [shutil.which("python" + version), *map(str, sorted(pyenv().glob(f"{version}.*/bin/python"), reverse=True))]
    for candidate in filter(None, found):
        if answers(candidate, version):
            return candidate
    pytest.skip(f"there is no Python {version} on PATH or in {pyenv()}")


def current() -> str:
    return "{}.{}".format(*sys.version_info[:2])


def pyenv() -> Path:
    return Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"


def answers(python: str, version: str) -> bool:
    """Whether it runs and is that version: a shim of pyenv may stand for one that is not installed."""
    show = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        result = subprocess.run([python, "-c", show], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return False
    return result.stdout.strip() == version


def environment_with(version: str, *requirements: str) -> str:
    """Path of the interpreter of a virtual environment in which the requirements are installed."""
    base = interpreter(version)
    digest = hashlib.sha256("\n".join([base, *requirements]).encode()).hexdigest()[:16]
    directory = CACHE / f"python{version}-{digest}"
    with locked(directory):
        if not (directory / COMPLETE).exists():
            build(base, directory, requirements)
    return str(directory / "bin" / "python")


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """One builder at a time, over all processes."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(base: str, directory: Path, requirements: Sequence[str]) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    run_or_miss([base, "-m", "venv", str(directory)], requirements)
    pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run_or_miss([*pip, *requirements], requirements)
    (directory / COMPLETE).touch()


def run_or_miss(command: Sequence[str], requirements: Sequence[str]) -> None:
    clean = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONHOME"}}
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False, env=clean
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        missing(" ".join(requirements), error)
    if result.returncode:
        missing(" ".join(requirements), result.stdout[-1000:] + result.stderr[-2000:])
