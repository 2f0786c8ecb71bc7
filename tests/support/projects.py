"""Small Django projects in directories of their own, run as real processes by whichever interpreter."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Mapping

from tests.support.processes import ROOT, Process, environment
from tests.support.urls import parse_url

SETTINGS = """\
SECRET_KEY = "only for tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = {apps!r}
DATABASES = {databases!r}
{more}
"""
LOG_TO_STDERR = """\
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
"""
MYSQL_DRIVER = """\
import pymysql
pymysql.version_info = (2, 2, 7, "final", 0)
pymysql.__version__ = "2.2.7"
pymysql.install_as_MySQLdb()
"""
STANDARD_APPS = ("django.contrib.contenttypes", "django.contrib.auth", "email_relay")


class Project:
    """A Django project: ``<name>_settings.py`` in *directory*, run by *python*.

    *ours*: whether `email_relay` is this work tree's; otherwise it is what the interpreter's environment has installed.
    """

    def __init__(
        self,
        directory: Path,
        databases: Mapping[str, str],
        *,
        name: str = "site",
        python: str = sys.executable,
        ours: bool = True,
        apps: tuple[str, ...] = STANDARD_APPS,
        modules: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.name, self.python, self.ours = name, python, ours
        self.logs = itertools.count(1)
        more = "\n".join(f"{key} = {value!r}" for key, value in settings.items())
        entries = {alias: database(url) for alias, url in databases.items()}
        driver = MYSQL_DRIVER if any(url.startswith("mysql:") for url in databases.values()) else ""
        text = driver + SETTINGS.format(apps=list(apps), databases=entries, more=LOG_TO_STDERR + more)
        for module, source in {f"{name}_settings": text, **(modules or {})}.items():
            path = self.directory / (module.replace(".", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)

    @property
    def env(self) -> dict[str, str]:
        paths = [str(self.directory), *([str(ROOT)] if self.ours else [])]
        return {"DJANGO_SETTINGS_MODULE": f"{self.name}_settings", "PYTHONPATH": os.pathsep.join(paths)}

    def start(self, *arguments: object, env: Mapping[str, object] | None = None) -> Process:
        """``python <arguments>`` as a process that is not started yet: a context manager."""
        log = self.directory / f"{self.name}-{next(self.logs)}.log"
        return Process([self.python, *arguments], log=log, env={**self.env, **(env or {})}, cwd=self.directory)

    def manage(self, *arguments: object) -> str:
        """``django-admin <arguments>``; its output, once it has ended well."""
        return self.run("-m", "django", *arguments)

    def script(self, source: str, *arguments: object) -> str:
        """Run *source* with Django set up."""
        return self.run("-c", "import django; django.setup()\n" + source, *arguments)

    def run(self, *arguments: object, succeeds: bool = True) -> str:
        result = self.result(*arguments)
        assert not succeeds or result.returncode == 0, f"{arguments}:\n{result.stdout}{result.stderr}"
        return result.stdout

    def result(self, *arguments: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [self.python, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=self.directory,
            env=environment(self.env),
        )


def database(url: str) -> dict[str, Any]:
    """The entry of DATABASES; a path stands for an SQLite file."""
    if "://" not in url:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": url, "OPTIONS": {"timeout": 30}}
    return parse_url(url)
