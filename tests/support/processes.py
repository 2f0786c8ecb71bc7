"""Processes of a test: each in a group of its own, its output in a file, and gone when the test is over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Mapping, Sequence

from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """A running command; leaving the context kills what is left of its group.

    *env* is added to this process' environment, without the variables that would pull in the test's own settings.
    When the test fails, the end of the output is printed, for pytest to show.
    """

    def __init__(
        self,
        command: Sequence[object],
        *,
        log: Path,
        env: Mapping[str, object] | None = None,
        cwd: Path = ROOT,
    ) -> None:
        self.command = [str(word) for word in command]
        self.log = Path(log)
        self.env = environment(env or {})
        self.cwd = cwd

    @classmethod
    def python(
        cls, *arguments: object, log: Path, env: Mapping[str, object] | None = None, cwd: Path = ROOT
    ) -> Process:
        """The same interpreter as the test's, with the project importable from any directory."""
        return cls([sys.executable, *arguments], log=log, env=env, cwd=cwd)

    def start(self) -> Process:
        with self.log.open("ab") as output:
            self.popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                env=self.env,
                start_new_session=True,
            )
        return self

    def __enter__(self) -> Process:  # noqa: PYI034 - Self is not in 3.8
        return self.start()

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.kill()
        if error is not None:
            print(f"--- end of {self.log} of {' '.join(self.command)}\n{self.tail()}\n---")

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines: int = 60) -> str:
        return "\n".join(self.output.splitlines()[-lines:])

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def wait_ready(self, text: str, timeout: float = 60) -> str:
        """Wait for *text* in the output, and give the line it stands in; AssertionError if the process ends first."""

        def found() -> str | None:
            ended = not self.running
            line = next((line for line in self.output.splitlines() if text in line), None)
            assert line or not ended, f"ended with {self.popen.returncode} before {text!r}:\n{self.tail()}"
            return line

        return wait_until(found, timeout, lambda: f"{text!r} in the output:\n{self.tail()}")

    def wait(self, timeout: float = 60) -> int:
        """The exit status, once there is one (negative: the signal that ended it)."""
        wait_until(lambda: not self.running, timeout, lambda: f"the end of {self.command}:\n{self.tail()}")
        return int(self.popen.returncode)

    def terminate(self, timeout: float = 60) -> int:
        """SIGTERM to the main process alone; its exit status."""
        self.send(signal.SIGTERM)
        return self.wait(timeout)

    def terminate_group(self, timeout: float = 60) -> int:
        """SIGTERM to every process of the group, as systemd does; the main one's exit status."""
        self.send_group(signal.SIGTERM)
        return self.wait(timeout)

    def send(self, number: int) -> None:
        self.popen.send_signal(number)

    def send_group(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # all of them have ended
            return

    @property
    def group_running(self) -> bool:
        """Whether any process of the group still lives, the main one or a child."""
        self.popen.poll()
        return bool(self.members())

    def members(self) -> list[int]:
        """The living processes of the group."""
        return [pid for pid, group, state in processes() if group == self.pid and state != "Z"]

    def children(self) -> list[int]:
        """The group without its main process."""
        return [pid for pid in self.members() if pid != self.pid]

    def stacks(self) -> str:
        """Where each process of the group stands, by its last words: SIGABRT ends it."""
        before = len(self.output)
        for pid in self.members():
            os.kill(pid, signal.SIGABRT)
        wait_until(lambda: not self.group_running, 30, f"the end of group {self.pid}")
        return self.output[before:]

    def kill(self) -> None:
        """kill -9 for the whole group, and wait until it is gone."""
        self.send_group(signal.SIGKILL)
        self.popen.wait(30)
        wait_until(lambda: not self.group_running, 30, f"the end of group {self.pid}")


def environment(extra: Mapping[str, object]) -> dict[str, str]:
    """This environment plus *extra*; a value of None takes a variable away."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "DJANGO_SETTINGS_"))}
    env["PYTHONUNBUFFERED"] = "1"
    env["PYTHONFAULTHANDLER"] = "1"
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH", "")]))
    env.update({key: str(value) for key, value in extra.items() if value is not None})
    for key, value in extra.items():
        if value is None:
            env.pop(key, None)
    return env


def processes() -> list[tuple[int, int, str]]:
    """(pid, process group, state) of all there are, by ps."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in listing.splitlines())
    return [(int(pid), int(group), state[0]) for pid, group, state in rows]
