"""The tutorial, typed word for word, ends in a delivered mail."""

from __future__ import annotations

import os
import re
import shlex
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs.pages import DOCS
from tests.support.processes import Process
from tests.support.waiting import wait_until

STEP = re.compile(r"^```(?P<language>console|python)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
EDITED = re.compile(r"Add to the end of `(?P<path>[^`]+)`:")
INSTALLING = ("python3 -m venv", ". .venv", "python -m pip")
STAYING = ("python -m aiosmtpd", "celery ")


class Newcomer:
    """Types what the page says, in a folder of its own; what stays in a terminal stays until the end."""

    def __init__(self, folder: Path, port: int, stack: ExitStack) -> None:
        self.folder = folder
        self.port = port
        self.stack = stack
        self.terminals: dict[str, Process] = {}
        self.env = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "RELAY_VAR": None,
            "DATABASE_URL": None,
            "CELERY_BROKER_URL": None,
        }

    def read(self, page: str) -> None:
        for step in STEP.finditer(page):
            if step["language"] == "python":
                target = EDITED.findall(page[: step.start()])[-1]
                with (self.folder / target).open("a", encoding="utf-8") as file:
                    file.write(step["body"])
            else:
                for line in step["body"].splitlines():
                    self.type(line.removeprefix("$ ").replace("2525", str(self.port)))

    def type(self, command: str) -> None:
        if command.startswith(INSTALLING):
            return
        if command.startswith("export "):
            self.env.update(word.split("=", 1) for word in shlex.split(command)[1:])
            return
        words = self.found(shlex.split(command))
        process = Process(words, log=self.folder / f"{len(self.terminals)}.log", env=self.env, cwd=self.folder)
        self.terminals[command] = self.stack.enter_context(process)
        if not command.startswith(STAYING):
            assert process.wait(120) == 0, process.tail()
        elif "aiosmtpd" in command:
            wait_until(self.listening, 60, "the mail server")

    def found(self, words: list[str]) -> list[str]:
        """The programs beside this interpreter; ``email-relay`` from the sources where it is not installed."""
        path = Path(sys.executable).parent / words[0]
        if path.exists():
            return [str(path), *words[1:]]
        return [sys.executable, "-m", "relay_worker.cli", *words[1:]] if words[0] == "email-relay" else words

    def listening(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def terminal(self, beginning: str) -> Process:
        return next(process for command, process in self.terminals.items() if command.startswith(beginning))


@pytest.mark.slow
def test_the_tutorial_ends_in_a_delivered_mail(tmp_path):
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with ExitStack() as stack:
        newcomer = Newcomer(tmp_path, port, stack)
        newcomer.read(page)
        server, relay = newcomer.terminal("python -m aiosmtpd"), newcomer.terminal("celery")
        server.wait_ready("To: ann@example.com", timeout=120)
        assert relay.terminate(90) == 0, relay.tail()
    listing = newcomer.terminal("python shop/manage.py relayqueue")
    assert "ann@example.com" in listing.output
