"""What is published: built, checked, and installed where there is nothing but Django."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from email_relay import __version__
from tests.support.processes import ROOT, environment

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


def test_with_django_alone_a_client_queues(wheel, tmp_path):
    """No extra is installed: what the service needs must not be imported."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "bare"], check=True, timeout=120)
    python = tmp_path / "bare" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", wheel], check=True, timeout=300)
    env = environment({"PYTHONPATH": None})
    done = subprocess.run(
        [python, "-c", USE], env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert "queued ['to@example.com']" in done.stdout, done.stderr
