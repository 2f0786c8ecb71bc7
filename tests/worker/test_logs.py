"""Log lines as JSON: the pairs of a message become fields, and never pass for the line's own."""

from __future__ import annotations

import json
import logging

from relay_worker.logs import JsonFormatter


def line(message: str) -> dict:
    record = logging.LogRecord("email_relay.relay", logging.INFO, __file__, 1, message, (), None)
    return json.loads(JsonFormatter().format(record))


def test_pairs_become_fields():
    shown = line("sent id=7 source=shop seconds=0.012")
    assert (shown["id"], shown["source"], shown["seconds"]) == ("7", "shop", "0.012")
    assert (shown["level"], shown["logger"]) == ("INFO", "email_relay.relay")


def test_a_quoted_value_is_one_field():
    assert line('held id=7 reason="Against the relay\'s policy"')["reason"] == "Against the relay's policy"


def test_a_pair_cannot_forge_level_logger_or_message():
    shown = line("refused level=DEBUG logger=mine message=none")
    assert shown["level"] == "INFO"
    assert shown["logger"] == "email_relay.relay"
    assert shown["message"].startswith("refused")
