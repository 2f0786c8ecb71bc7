"""Log lines as JSON, for collectors that want them so: structlog renders what the standard library's loggers are told."""

from __future__ import annotations

from collections.abc import Mapping

from structlog.processors import EventRenamer, JSONRenderer, TimeStamper, format_exc_info
from structlog.stdlib import ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import EventDict, WrappedLogger


def json_formatter() -> ProcessorFormatter:
    """One object a line: time, level, logger, message, and as fields what the message was made of."""
    return ProcessorFormatter(
        foreign_pre_chain=[_fields, add_log_level, add_logger_name, TimeStamper("iso", key="time"), format_exc_info],
        pass_foreign_args=True,
        processors=[ProcessorFormatter.remove_processors_meta, EventRenamer("message"), JSONRenderer()],
    )


def _fields(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """The named arguments of ``"id=%(id)s", {"id": 7}``, which never replace what the line has of its own."""
    arguments = event.pop("positional_args", ())
    return {**arguments, **event} if isinstance(arguments, Mapping) else event
