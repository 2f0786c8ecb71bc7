"""Nothing stands in the documentation to be typed or copied that no test runs; what cannot be run here is named, and why."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from email_relay.models import Message, Status, Suppression
from relay_worker.cli import MANAGEMENT
from tests.docs import test_sending_snippets as sending
from tests.docs.pages import Block, blocks, commands
from tests.docs.test_commands import words_of
from tests.support import postgres
from tests.support.databases import execute_postgresql, unique_name
from tests.support.processes import environment
from tests.support.projects import Project

HOOKS = re.compile(r"# relay_(site|hooks)\.py")
SETTINGS = re.compile(r"(DJANGO_EMAIL_RELAY|EMAIL_BACKEND|INSTALLED_APPS|DATABASES|MAILERS) = ")

ELSEWHERE = {
    "README.md": "make test, make demo and the worker are steps of .ci/run; the client's lines are those of install-client",
    "CHANGELOG.md": "names commands in prose",
    "SECURITY.md": "names commands in prose",
    "docs/tutorial.md": "typed word for word by test_tutorial.py",
    "docs/how-to/install-client.md": "test_installing below takes the same steps in a project of its own",
    "docs/how-to/install-relay.md": "tests/e2e/test_worker.py starts the worker, tests/worker/test_commands.py check and migrate",
    "docs/how-to/with-containers.md": "no engine runs where this is built: tests/docker and `make image` follow the recipe",
    "docs/how-to/without-containers.md": "installs system services: tests/docs/test_systemd.py checks the units",
    "docs/how-to/upgrade.md": "tests/e2e/test_upgrade.py goes the whole way",
}
"""Pages whose commands are run by other tests, and by which."""
PROGRAMS = {
    "make": "targets of the Makefile, which test_commands.py looks up; bench, matrix, image and pictures run for long",
    "celery": "a process that stays: tests/e2e",
    "web": "a process that stays: tests/docker/test_entrypoint.py",
    "flower": "a process that stays: tests/e2e/test_flower.py",
    "worker": "a process that stays: tests/e2e",
    "run": "a process that stays: tests/e2e",
    "runrelay": "a process that stays: tests/e2e",
    "watch": "goes on until it is interrupted: tests/console/test_relayqueue.py",
    "check": "tests/worker/test_commands.py",
    "migrate": "tests/worker/test_commands.py",
    "export": "sets variables",
    "-m": "measurements, which run for long",
}
DRAWN = "text"
"""Drawings and output: read, never typed."""


def kind(block: Block) -> str:
    """Which test runs the block; "" if none does."""
    if block.language in {DRAWN, "console"} or block.language.startswith("{"):
        return "drawn, by commands, or by Sphinx"
    if block in [*sending.SENDING, *sending.TESTING] or "@receiver" in block.body or block.page.name == "tutorial.md":
        return "test_sending_snippets or test_tutorial"
    if block.language == "python" and HOOKS.match(block.body):
        return "tests/e2e/test_hooks.py"
    if block.language == "python":
        return "settings" if SETTINGS.match(block.body) else ""
    return block.language if block.language in {"sql", "shell", "json"} else ""


EVERY = [
    block
    for language in ("python", "sql", "shell", "json", "bash", "ini", "yaml", "toml", "html", "")
    for block in blocks(language)
]
BY_KIND = {name: [block for block in EVERY if kind(block) == name] for name in ("settings", "sql", "shell", "json")}


def _ids(block: Block) -> str:
    return block.name


@pytest.mark.parametrize("block", EVERY, ids=_ids)
def test_each_block_is_run_by_some_test(block):
    assert kind(block), f"{block.name} is run by nobody: give it a test, or show it as text"


def shown(command: str) -> str:
    """The word that decides who runs the command."""
    program, *rest = words_of(command)
    if program in {"email-relay", "python"}:
        words = [word for word in rest if word != "manage.py"]
        return next(
            (word for word in (words[:2] if words[:1] == ["relayqueue"] else words[:1]) if word in PROGRAMS), ""
        )
    return program.rpartition("/")[2] if program.rpartition("/")[2] in PROGRAMS else ""


def typed() -> list[tuple[str, str]]:
    """Each command that a reader is to type, with its page, without those that other tests run."""
    return [(where, command) for where, command in commands() if where.partition("#")[0] not in ELSEWHERE]


RUN = sorted({command for where, command in typed() if not shown(command)})


def test_the_lists_of_what_is_run_elsewhere_name_pages_and_programs_that_are_there():
    pages = {where.partition("#")[0] for where, _ in commands()}
    assert set(ELSEWHERE) <= pages
    assert {shown(command) for _, command in commands()} >= set(PROGRAMS) - {"export"}


@pytest.mark.django_db
@pytest.mark.parametrize("command", RUN)
def test_a_command_does_what_it_says(command, monkeypatch):
    """Over a queue in which there is something to find; every question is answered with yes."""
    monkeypatch.setattr("builtins.input", lambda _: "y")
    Suppression.objects.create(pattern="ann@example.com")
    Message.objects.create(id=4711, data={"subject": "x", "format": 2}, source="newsletter", status=Status.QUEUED)
    program, *words = words_of(command)
    name = MANAGEMENT[words.pop(0)] if program == "email-relay" else words.pop(words.index("manage.py") + 1)
    words = [word for word in words if word != "manage.py"]
    if name == "relaygrants":
        pytest.skip("tests/security/test_grants.py runs it, against PostgreSQL")
    if not words:
        with pytest.raises(CommandError):  # prose that names the command as such: it asks for a verb
            call_command(name)
        return
    call_command(name, *words)


@pytest.mark.parametrize("block", BY_KIND["settings"], ids=_ids)
def test_settings_pass_the_checks(block, tmp_path):
    """In a project of their own, by Django's system check; databases of the example are not connected to."""
    project = Project(tmp_path, {"default": str(tmp_path / "db.sqlite3")})
    path = tmp_path / "site_settings.py"
    own = block.body.replace("    # …\n", "")
    if "INSTALLED_APPS" in own:
        own += "INSTALLED_APPS += ['django.contrib.contenttypes', 'django.contrib.auth']\n"
    if own.startswith("DATABASES") and '"default"' not in own:
        own += "DATABASES['default'] = DATABASES['email_relay_db']\n"
    router = "DATABASE_ROUTERS = ['email_relay.db.EmailDatabaseRouter']\n" if "email_relay_db" in own else ""
    path.write_text(path.read_text() + own + router)
    project.manage("check")


@pytest.mark.parametrize("block", BY_KIND["shell"], ids=_ids)
def test_an_environment_is_one_the_service_starts_with(block, tmp_path):
    """Secrets come from files of the test."""
    given = dict(line.split("=", 1) for line in block.body.splitlines() if line and not line.startswith("#"))
    for name in [name for name in given if name.endswith("_FILE")]:
        secret = tmp_path / name
        secret.write_text("postgres://me:secret@db/relay" if "URL" in name else "secret")
        given[name] = str(secret)
    command = [sys.executable, "-m", "relay_worker.cli", "settings"]
    env = environment({**given, "RELAY_VAR": tmp_path / "var"})
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    for name in given:
        assert f"environment: {name}" in done.stdout or name in {"ADMIN_USERNAME", "ADMIN_PASSWORD_FILE"}, name


@pytest.mark.parametrize("block", BY_KIND["sql"], ids=_ids)
def test_sql_runs_on_postgresql(block):
    """Under names of its own; the order of the statements is that of the page."""
    server, name = postgres.server_url(), unique_name("docs")
    statements = [part.strip() for part in block.body.replace("email_relay", name).split(";") if part.strip()]
    try:
        for statement in statements:
            execute_postgresql(server, statement)
    finally:
        execute_postgresql(server, f'DROP DATABASE IF EXISTS "{name}"')
        execute_postgresql(server, f'DROP ROLE IF EXISTS "{name}"')


@pytest.mark.parametrize("block", BY_KIND["json"], ids=_ids)
def test_json_is_what_the_log_looks_like(block):
    for line in block.body.splitlines():
        assert {"level", "logger", "message"} <= set(json.loads(line))


def test_installing_a_client_as_the_page_says(tmp_path: Path):
    """Its commands in its order, with an SQLite file for the relay database."""
    page = [command for where, command in commands() if where.startswith("docs/how-to/install-client.md#")]
    wanted = [command for command in page if "manage.py" in command and "runrelay" not in command]
    relay = str(tmp_path / "relay.sqlite3")
    project = Project(
        tmp_path,
        {"default": str(tmp_path / "own.sqlite3"), "email_relay_db": relay},
        DATABASE_ROUTERS=["email_relay.db.EmailDatabaseRouter"],
        EMAIL_BACKEND="email_relay.backend.RelayDatabaseEmailBackend",
        DJANGO_EMAIL_RELAY={"SOURCE": "shop"},
    )
    project.manage("migrate", "--database", "email_relay_db", "-v0")
    for command in wanted:
        project.manage(*words_of(command)[2:])
    assert (
        project.script("from email_relay.models import Message; print(Message.objects.get().source)").strip() == "shop"
    )
