"""The image's entrypoint with plain processes: no container engine is needed to know what it does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.databases import execute_postgresql, unique_name
from tests.support.forwarding import Forwarder
from tests.support.ports import free_port
from tests.support.processes import ROOT, Process, environment
from tests.support.urls import parse_url
from tests.support.waiting import wait_until

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
    own = {"RELAY_VAR": tmp_path / "var", "TMPDIR": tmp_path}
    return {"PATH": path, "C_FORCE_ROOT": 1, "EMAIL_HOST": "127.0.0.1", **own, **more}


def run(env, tmp_path, *words):
    command = [str(DOCKER / "entrypoint.sh"), *words]
    return subprocess.run(
        command, env=environment(env), cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_worker_role_migrates_starts_is_healthy_and_stops_on_sigterm(
    programs, tmp_path, postgresql_database, smtp_server
):
    env = variables(programs, tmp_path, DATABASE_URL=postgresql_database, EMAIL_PORT=smtp_server.port)
    with Process([DOCKER / "entrypoint.sh"], log=tmp_path / "log", env=env, cwd=tmp_path) as worker:
        worker.wait_ready(" ready.", 90)
        alive = run(env, tmp_path, "healthcheck")
        assert alive.returncode == 0, alive.stdout + alive.stderr
        worker.send(signal.SIGTERM)
        assert worker.wait(60) == 0, worker.tail()
    dead = run(env, tmp_path, "healthcheck")
    assert dead.returncode != 0
    assert "FAIL node" in dead.stdout


def test_several_containers_may_start_at_once_on_an_empty_database(programs, tmp_path, postgresql_database):
    env = environment(variables(programs, tmp_path, DATABASE_URL=postgresql_database))
    command = [str(DOCKER / "entrypoint.sh"), "migrate", "--wait", "30"]
    logs = [(tmp_path / f"{number}.log").open("w+") for number in range(3)]
    running = [subprocess.Popen(command, env=env, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT) for log in logs]
    ended = [process.wait(120) for process in running]
    texts = [Path(log.name).read_text() for log in logs]
    assert ended == [0, 0, 0], texts
    assert sum("Applying email_relay.0001_initial" in text for text in texts) == 1, "more than one of them migrated"


def test_a_container_waits_for_a_database_that_is_still_starting(programs, tmp_path, postgresql_database):
    """Through a port at which nobody listens before the container has begun to wait."""
    server = parse_url(postgresql_database)
    port = free_port()
    url = f"postgres://{server['USER']}@127.0.0.1:{port}/{server['NAME']}"
    env = variables(programs, tmp_path, DATABASE_URL=url, LOG_LEVEL="INFO")
    command = [DOCKER / "entrypoint.sh", "migrate", "--wait", "60"]
    with Process(command, log=tmp_path / "log", env=env, cwd=tmp_path) as container:
        container.wait_ready("waiting for the relay database")
        with Forwarder("127.0.0.1", int(server["PORT"]), port=port):
            assert container.wait(60) == 0, container.tail()


def test_a_container_that_waits_for_its_database_stops_when_told(programs, tmp_path):
    url = "postgres://relay@127.0.0.1:1/relay"
    env = variables(programs, tmp_path, DATABASE_URL=url, DATABASE_WAIT_SECONDS=600, LOG_LEVEL="INFO")
    with Process([DOCKER / "entrypoint.sh"], log=tmp_path / "log", env=env, cwd=tmp_path) as container:
        container.wait_ready("waiting for the relay database")
        container.send(signal.SIGTERM)
        assert container.wait(30) == 143
        wait_until(lambda: not container.group_running, 30, "the waiting command to end with its shell")


def test_a_database_that_is_not_there_is_said_plainly(programs, tmp_path):
    url = "postgres://relay:secret-password@127.0.0.1:1/relay"
    done = run(variables(programs, tmp_path, DATABASE_URL=url, DATABASE_WAIT_SECONDS=0), tmp_path)
    assert done.returncode == 2
    assert "cannot be reached" in done.stderr
    assert "secret-password" not in done.stdout + done.stderr


@pytest.fixture
def relay_role(programs, tmp_path, postgresql_database):
    """The URL of a role that may work on the rows and change no tables; the owner has made them."""
    name = unique_name("role")
    owner = variables(programs, tmp_path, DATABASE_URL=postgresql_database)
    assert run(owner, tmp_path, "migrate", "-v", "0").returncode == 0
    execute_postgresql(postgresql_database, f"CREATE ROLE {name} LOGIN")
    try:
        execute_postgresql(postgresql_database, run(owner, tmp_path, "grants", "--relay", name).stdout)
        yield urlsplit(postgresql_database)._replace(netloc=f"{name}@{server_address(postgresql_database)}").geturl()
    finally:
        execute_postgresql(postgresql_database, f"DROP OWNED BY {name}")
        execute_postgresql(postgresql_database, f"DROP ROLE {name}")


def server_address(url):
    return urlsplit(url).netloc.rpartition("@")[2]


def test_a_role_without_ddl_starts_once_the_tables_are_there(programs, tmp_path, relay_role):
    done = run(variables(programs, tmp_path, DATABASE_URL=relay_role), tmp_path, "migrate", "-v", "0")
    assert done.returncode == 0, done.stderr


def test_a_role_without_ddl_says_who_may_make_the_tables(programs, tmp_path, relay_role, postgresql_database):
    """As after an upgrade, when a table has yet to be changed."""
    execute_postgresql(postgresql_database, "DELETE FROM django_migrations WHERE app = 'email_relay' AND name > '0003'")
    done = run(variables(programs, tmp_path, DATABASE_URL=relay_role), tmp_path, "migrate", "-v", "0")
    assert done.returncode == 2
    assert "DATABASE_URL of their owner" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_healthcheck_tells_what_the_container_lacks(programs, tmp_path, postgresql_database):
    env = variables(programs, tmp_path, DATABASE_URL=postgresql_database)
    before = run(env, tmp_path, "healthcheck")
    assert before.returncode != 0
    assert "FAIL migrations" in before.stdout
    assert run(env, tmp_path, "migrate", "-v", "0").returncode == 0
    assert run(env, tmp_path, "healthcheck").returncode == 0


@pytest.mark.parametrize(("role", "asked"), [("web", "web"), ("flower", "flower"), ("run", "relay")])
def test_the_healthcheck_asks_the_process_of_the_role(programs, tmp_path, role, asked):
    (tmp_path / "email-relay-role").write_text(role)
    done = run(variables(programs, tmp_path), tmp_path, "healthcheck")
    assert re.search(rf"^(ok  |FAIL) {asked} ", done.stdout, re.MULTILINE), done.stdout + done.stderr


def test_the_entrypoint_is_executable_and_every_role_of_compose_is_its_own():
    assert os.access(DOCKER / "entrypoint.sh", os.X_OK)
    compose = Path(DOCKER / "compose.yaml").read_text()
    entrypoint = Path(DOCKER / "entrypoint.sh").read_text()
    for role in ("beat", "web", "flower"):
        assert f"command: [{role}]" in compose
        assert f"    {role})" in entrypoint
