"""Log lines as JSON: what a message was made of becomes typed fields, and never passes for the line's own."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from relay_worker.logs import json_formatter
from tests.support.processes import environment


def line(message: str, *arguments: object, exc_info=None) -> dict:
    record = logging.LogRecord("email_relay.relay", logging.INFO, __file__, 1, message, arguments, exc_info)
    return json.loads(json_formatter().format(record))


def test_named_arguments_become_fields_with_their_types():
    shown = line("%(outcome)s id=%(id)s seconds=%(seconds).3f", {"outcome": "sent", "id": 7, "seconds": 0.012})
    assert (shown["outcome"], shown["id"], shown["seconds"]) == ("sent", 7, 0.012)
    assert (shown["level"], shown["logger"]) == ("info", "email_relay.relay")
    assert shown["message"] == "sent id=7 seconds=0.012"
    assert shown["time"].endswith("Z")


def test_positional_arguments_are_in_the_message_alone():
    assert set(line("%s messages", 3)) == {"message", "level", "logger", "time"}


def test_a_field_cannot_forge_level_logger_time_or_message():
    forged = {"level": "debug", "logger": "mine", "message": "none", "event": "none", "time": "never"}
    shown = line("refused %(level)s", forged)
    assert (shown["level"], shown["logger"], shown["message"]) == ("info", "email_relay.relay", "refused debug")
    assert shown["time"] != "never"


def test_a_traceback_is_a_field():
    try:
        int("broken")
    except ValueError:
        assert "ValueError: invalid literal" in line("trouble", exc_info=sys.exc_info())["exception"]


@pytest.mark.parametrize(("log_format", "imported"), [("text", "False"), ("json", "True")])
def test_structlog_is_imported_for_json_alone(tmp_path, log_format, imported):
    code = "import sys, django; django.setup(); print('structlog' in sys.modules)"
    env = environment(
        {"RELAY_VAR": tmp_path / "var", "DJANGO_SETTINGS_MODULE": "relay_worker.settings", "LOG_FORMAT": log_format}
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == imported
