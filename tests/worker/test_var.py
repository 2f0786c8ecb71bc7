"""What a service with no configuration keeps is for its owner alone."""

from __future__ import annotations

import subprocess
import sys

from relay_worker.var import secret_key, var_folder
from tests.support.processes import environment


def test_p13_the_folder_and_the_key_are_for_the_owner_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("RELAY_VAR", str(tmp_path / "var"))
    secret_key()
    assert var_folder().stat().st_mode & 0o077 == 0
    assert (tmp_path / "var" / "secret_key").stat().st_mode & 0o077 == 0


def test_processes_that_start_together_have_one_key(tmp_path):
    env = environment({"RELAY_VAR": tmp_path / "var"})
    command = [sys.executable, "-c", "from relay_worker.var import secret_key; print(secret_key())"]
    running = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    keys = {process.communicate(timeout=120)[0].strip() for process in running}
    assert len(keys) == 1
    assert len(keys.pop()) > 40
    assert [path.name for path in (tmp_path / "var").iterdir() if path.name.startswith("secret_key")] == ["secret_key"]
