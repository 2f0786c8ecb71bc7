"""Every command the documentation tells people to type exists, with the options it is given."""

from __future__ import annotations

import re
import shlex

import pytest
from django.core.management import get_commands, load_command_class

from tests.docs.pages import ROOT, commands

PROGRAMS = {"export", "sudo", "systemctl", "docker", "curl", ".", "python3", "psql"}
"""Not ours: their options are not looked at."""
TYPED = sorted(set(commands()))


def words_of(command: str) -> list[str]:
    """Without variables set in front, and without what is ours to strip."""
    words = shlex.split(command)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    return words[1:] if words[:1] == ["sudo"] else words


@pytest.mark.parametrize(("where", "command"), TYPED, ids=[f"{where}: {command}" for where, command in TYPED])
def test_the_command_exists(where, command):
    program, *rest = words_of(command)
    program = program.rpartition("/")[2]
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        assert set(rest) <= targets
    elif program == "email-relay":
        check_email_relay(rest)
    elif program == "celery":
        check_celery(rest)
    elif program == "python" and rest[:1] != ["-m"]:
        assert rest[0].endswith("manage.py")
        check_management(rest[1:])
    else:
        assert program in PROGRAMS | {"python", "django-admin", "useradd", "install"}


def check_email_relay(arguments):
    from relay_worker.cli import COMMANDS, MANAGEMENT

    if arguments[0] in MANAGEMENT:
        check_management([MANAGEMENT[arguments[0]], *arguments[1:]])
    elif arguments[0] == "manage":
        check_management(arguments[1:])
    else:
        assert arguments[0] in COMMANDS


def check_management(arguments):
    name, *options = arguments
    app = get_commands()[name]
    parser = load_command_class(app, name).create_parser("manage.py", name) if isinstance(app, str) else app
    if not options:  # prose that names the command as such
        return
    # the aliases of the reader's project are not those of the test's
    parser.parse_args(["default" if option == "email_relay_db" else option for option in options])


def check_celery(arguments):
    assert arguments[:2] == ["-A", "relay_worker"]
    from celery.bin.celery import celery

    command = celery.commands.get(arguments[2])
    if command is None:
        assert arguments[2] == "flower"
        return
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.partition("=")[0] for word in arguments[3:] if word.startswith("-")} <= known


def test_the_programs_own_commands_are_all_in_its_usage():
    from relay_worker.cli import COMMANDS, MANAGEMENT, USAGE

    assert set(re.findall(r"^  (\w+) ", USAGE, re.MULTILINE)) == {*COMMANDS, *MANAGEMENT}


def test_every_metric_is_on_its_page():
    from service_page import metric_rows

    sources = [(ROOT / "relay_worker" / name).read_text(encoding="utf-8") for name in ("metrics.py", "counters.py")]
    made = [len(re.findall(r"[^f] _(?:gauge|counter|histogram)\(", source)) for source in sources]
    assert len(metric_rows()) == sum(made)
