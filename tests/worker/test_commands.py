"""``email-relay`` as a stranger types it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.processes import environment


@pytest.fixture
def email_relay(tmp_path):
    def run(*arguments: str, **variables: object):
        env = environment({"RELAY_VAR": tmp_path / "var", "EMAIL_HOST": "127.0.0.1", **variables})
        command = [sys.executable, "-m", "relay_worker.cli", *arguments]
        return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)

    return run


def test_without_a_command_it_says_what_there_is(email_relay):
    assert "worker" in email_relay().stdout


def test_an_unknown_command_is_an_error(email_relay):
    done = email_relay("wrok")
    assert done.returncode == 2
    assert "wrok" in done.stderr


def test_check_finds_all_well(email_relay, smtp_server):
    assert email_relay("migrate", "-v0").returncode == 0
    done = email_relay("check", EMAIL_PORT=smtp_server.port)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout


def test_check_says_what_is_wrong_and_how_to_mend_it(email_relay):
    done = email_relay("check", EMAIL_PORT=1)
    assert done.returncode == 1
    assert "FAIL migrations" in done.stdout
    assert "migrate" in done.stdout
    assert "FAIL smtp" in done.stdout
    assert "EMAIL_PORT" in done.stdout


def test_p13_settings_show_where_values_came_from_and_no_secret(email_relay):
    done = email_relay("settings", EMAIL_HOST_PASSWORD="hunter2", DATABASE_URL="postgres://me:hunter2@db/relay")
    assert "hunter2" not in done.stdout + done.stderr
    assert "environment: DATABASE_URL" in done.stdout
    assert "DJANGO_EMAIL_RELAY__EMAIL_THROTTLE = 0  (default)" in done.stdout


def test_the_first_administrator_comes_from_the_environment(email_relay, tmp_path):
    (tmp_path / "password").write_text("long enough\n")
    variables = {"ADMIN_USERNAME": "boss", "ADMIN_PASSWORD_FILE": tmp_path / "password"}
    assert "first user" in email_relay("migrate", "-v0", **variables).stdout
    assert "first user" not in email_relay("migrate", "-v0", **variables).stdout


def test_runrelay_once_delivers_and_tells_counts(email_relay):
    email_relay("migrate", "-v0")
    assert email_relay("run", "--once").stdout.startswith("sent 0, deferred 0, failed 0")
