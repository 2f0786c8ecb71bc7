"""Message object → bytes at less cost than the standard library's own way, and the same bytes.

Half of what rendering costs goes into two things a queue can do without: a regular expression compiled for each random
boundary, to see that it stands nowhere in the text, and headers split at every space only to be joined again.
"""

from __future__ import annotations

import secrets
import sys
from email.message import Message as StandardMessage
from email.policy import Compat32
from typing import Any

_BOUNDARY = f"===============%0{len(str(sys.maxsize))}d=="  # as in email.generator


def set_boundaries(message: StandardMessage) -> None:
    """Give a boundary to each multipart that has none. It cannot be guessed, so no text holds it."""
    for part in message.walk():
        if part.get_content_maintype() == "multipart" and part.is_multipart() and part.get_boundary() is None:
            part.set_boundary(_BOUNDARY % secrets.randbelow(sys.maxsize))


class QuickCompat32(Compat32):
    """`email.policy.compat32`, but a plain header that fits into its line is written as it stands."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        fits = isinstance(value, str) and len(name) + len(": ") + len(value) <= (self.max_line_length or 0)
        if fits and value.isascii() and value.isprintable():
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)
