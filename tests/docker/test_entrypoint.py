"""The image's entrypoint with plain processes: no container engine is needed to know what it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, Process, environment

DOCKER = ROOT / "docker"


@pytest.fixture
def programs(tmp_path):
    """What the image has on its PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, module in (("email-relay", "relay_worker.cli"), ("celery", "celery")):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        script.chmod(0o755)
    return folder


def variables(programs, tmp_path, **more):
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "RELAY_VAR": tmp_path / "var", "C_FORCE_ROOT": 1, "EMAIL_HOST": "127.0.0.1", **more}


def test_the_worker_role_migrates_starts_and_stops_on_sigterm(programs, tmp_path, postgresql_database, smtp_server):
    env = variables(programs, tmp_path, DATABASE_URL=postgresql_database, EMAIL_PORT=smtp_server.port)
    with Process([DOCKER / "entrypoint.sh"], log=tmp_path / "log", env=env, cwd=tmp_path) as worker:
        worker.wait_ready(" ready.", 90)
        worker.send(signal.SIGTERM)
        assert worker.wait(60) == 0, worker.tail()


def test_two_containers_may_start_at_once(programs, tmp_path, postgresql_database):
    env = environment(variables(programs, tmp_path, DATABASE_URL=postgresql_database))
    command = [str(DOCKER / "entrypoint.sh"), "migrate", "-v", "0"]
    running = [subprocess.Popen(command, env=env, cwd=tmp_path) for _ in range(2)]
    assert [process.wait(120) for process in running] == [0, 0]


def test_a_database_that_is_not_there_is_said_plainly(programs, tmp_path):
    url = "postgres://relay:secret-password@127.0.0.1:1/relay"
    env = environment(variables(programs, tmp_path, DATABASE_URL=url, DATABASE_WAIT_SECONDS=0))
    done = subprocess.run(
        [str(DOCKER / "entrypoint.sh")], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != 0
    assert "cannot be reached" in done.stderr
    assert "secret-password" not in done.stdout + done.stderr


def test_the_healthcheck_tells_the_truth(programs, tmp_path, postgresql_database):
    env = environment(variables(programs, tmp_path, DATABASE_URL=postgresql_database))
    command = [str(DOCKER / "entrypoint.sh"), "healthcheck"]
    before = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert before.returncode != 0
    assert "FAIL migrations" in before.stdout
    subprocess.run(
        [str(DOCKER / "entrypoint.sh"), "migrate", "-v", "0"], env=env, cwd=tmp_path, check=True, timeout=120
    )
    assert subprocess.run(command, env=env, cwd=tmp_path, timeout=120, check=False).returncode == 0


def test_the_entrypoint_is_executable_and_every_role_of_compose_is_its_own():
    assert os.access(DOCKER / "entrypoint.sh", os.X_OK)
    compose = Path(DOCKER / "compose.yaml").read_text()
    entrypoint = Path(DOCKER / "entrypoint.sh").read_text()
    for role in ("beat", "web", "flower"):
        assert f"command: [{role}]" in compose
        assert f"    {role})" in entrypoint
