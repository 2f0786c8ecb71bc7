"""The migrations say all that the models say, on every Django."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.environments import environment_with
from tests.support.projects import Project

CHECK = ("makemigrations", "email_relay", "--check", "--dry-run")


def project(directory: Path, **options: object) -> Project:
    return Project(directory, {"default": str(directory / "db.sqlite3")}, **options)


def test_makemigrations_finds_nothing_to_do(tmp_path: Path) -> None:
    project(tmp_path).manage(*CHECK)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("version", "django"), [("3.8", "Django>=3.2,<4"), ("3.9", "Django>=4.1,<4.2"), ("3.13", "Django>=6.1,<6.2")]
)
def test_makemigrations_finds_nothing_to_do_on_any_django(tmp_path: Path, version: str, django: str) -> None:
    """Nor does migrating forwards and backwards, with Django alone, raise or warn."""
    other = project(tmp_path, python=environment_with(version, django))
    other.manage(*CHECK)
    other.run("-W", "error::DeprecationWarning:email_relay", "-m", "django", "migrate", "--verbosity", "0")
    other.manage("migrate", "email_relay", "zero", "--verbosity", "0")
