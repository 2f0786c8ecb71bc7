"""How a fault of ours is told: its type and where it arose, never its text, which may quote a mail (P13)."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from pathlib import PurePath
from typing import Iterator

from email_relay.exceptions import EmailRelayError, Fault
from email_relay.unavailable import named

FRAMES = 6


def described(error: BaseException) -> str:
    """An error in one line: "KeyError at mime.py:12 < gate.py:80 < drain.py:190", the innermost frame first."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    places = " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    return f"{named(error)} at {places}" if places else named(error)


@contextmanager
def unquoted() -> Iterator[None]:
    """Errors leave as a `Fault` with their traceback and without their text; those of this package say no more than they may."""
    try:
        yield
    except EmailRelayError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it may quote a mail
        raise Fault(described(error)).with_traceback(error.__traceback__) from None
