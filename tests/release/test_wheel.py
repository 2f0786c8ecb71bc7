"""What is published: built, checked, and installed where there is nothing but Django."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from email_relay import __version__
from tests.support.processes import ROOT, environment
from tests.support.smtpserver import SmtpServer

pytestmark = pytest.mark.slow

USE = """
import django
from django.conf import settings
settings.configure(USE_TZ=True, INSTALLED_APPS=["email_relay"], EMAIL_BACKEND="email_relay.backend.RelayDatabaseEmailBackend",
                   DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()
from django.core.management import call_command
from django.core.mail import send_mail
call_command("migrate", verbosity=0)
send_mail("subject", "body", "from@example.com", ["to@example.com"])
from email_relay.models import Message
import email_relay.relay.drain, email_relay.testing
print("queued", Message.objects.get().recipients)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True, capture_output=True, timeout=300
    )
    (path,) = folder.glob("*.whl")
    return path


def test_the_metadata_is_what_an_index_takes(wheel):
    files = [str(path) for path in wheel.parent.iterdir()]
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout


def test_the_wheel_carries_types_templates_and_migrations_and_one_version(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "email_relay/py.typed" in names
    assert any(name.endswith(".html") for name in names)
    assert "email_relay/migrations/0001_initial.py" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "demo/"))]
    assert wheel.name.split("-")[1] == __version__
    assert f"[{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_nothing_is_in_the_wheel_that_should_not_be(wheel):
    toplevel = ["--toplevel", "email_relay,relay_worker"]
    ignored = ["--ignore", "W004"]  # Django's names of migrations begin with a number
    command = [sys.executable, "-m", "check_wheel_contents", *toplevel, *ignored, str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_version_changelog_and_tag_say_the_same():
    """The version stands in ``email_relay/__init__.py``; a tag of this commit, if there is one, is made from it."""
    released = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == __version__
    done = subprocess.run(["git", "tag", "--points-at", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert [tag for tag in done.stdout.split() if tag.startswith("v") and tag != f"v{__version__}"] == []


def test_the_source_distribution_builds_the_same_wheel_and_carries_what_a_packager_needs(wheel):
    """``build`` makes the wheel out of the source distribution."""
    (source,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "tests/conftest.py", "docs/index.md"} <= names
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("django_email_relay-")}
    assert packed <= names


def test_with_the_workers_extra_the_service_stands_up(wheel, tmp_path):
    """Migrate, check and one drain, by the commands that the wheel installs."""
    python = bare(tmp_path, f"{wheel}[worker]")
    env = environment(
        {"PYTHONPATH": None, "RELAY_VAR": tmp_path / "var", "DATABASE_URL": None, "CELERY_BROKER_URL": None}
    )
    with SmtpServer() as server:
        env.update(EMAIL_HOST=server.host, EMAIL_PORT=str(server.port))
        for words in (["migrate", "-v0"], ["check"], ["run", "--once"]):
            command = [python.with_name("email-relay"), *words]
            done = subprocess.run(
                command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
            )
            assert done.returncode == 0, done.stdout + done.stderr
    celery = [python.with_name("celery"), "-A", "relay_worker", "report"]
    subprocess.run(celery, env=env, cwd=tmp_path, capture_output=True, check=True, timeout=120)


def bare(folder: Path, requirement: object) -> Path:
    """The interpreter of a new environment with this alone installed."""
    subprocess.run([sys.executable, "-m", "venv", folder / "bare"], check=True, timeout=120)
    python = folder / "bare" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", str(requirement)], check=True, timeout=300)
    return python


def test_with_django_alone_a_client_queues(wheel, tmp_path):
    """No extra is installed: what the service needs must not be imported."""
    python = bare(tmp_path, wheel)
    env = environment({"PYTHONPATH": None})
    done = subprocess.run(
        [python, "-c", USE], env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert "queued ['to@example.com']" in done.stdout, done.stderr
