from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.processes import environment


@pytest.fixture
def service_settings(tmp_path):
    """The service's settings as a fresh process sees them under the given variables."""

    def read(*names: str, **variables: object):
        code = (
            "import json; from django.conf import settings; from email_relay.conf import relay_settings; import dataclasses;"
            f"print(json.dumps({{**{{n: getattr(settings, n) for n in {names!r}}}, 'relay': dataclasses.asdict(relay_settings())}},"
            " default=str))"
        )
        env = environment(
            {"RELAY_VAR": tmp_path / "var", "DJANGO_SETTINGS_MODULE": "relay_worker.settings", **variables}
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=60
        )
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    return read
