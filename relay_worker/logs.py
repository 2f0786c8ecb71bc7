"""Log lines as JSON, for collectors that want them so."""

from __future__ import annotations

import json
import logging
import re

PAIR = re.compile(r"(\w+)=('[^']*'|\"[^\"]*\"|\S+)")


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, and the ``key=value`` pairs of the message as fields."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        line = {
            **{key: value.strip("'\"") for key, value in PAIR.findall(message)},
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
